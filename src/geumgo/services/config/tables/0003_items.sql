-- What resources were like, one row for each time they changed. It decides nothing: no MAC.
CREATE TABLE config_item (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    resource_type TEXT NOT NULL,
    resource_id TEXT COLLATE "C" NOT NULL,
    captured_at_ms BIGINT NOT NULL,
    latest BIGINT NOT NULL,                  -- 1: of the rows of a resource the newest
    status TEXT NOT NULL,                    -- ResourceDiscovered, OK or ResourceDeleted
    name TEXT NOT NULL,
    created_at_ms BIGINT,
    tags TEXT NOT NULL,                      -- JSON object
    configuration TEXT NOT NULL,             -- JSON object
    PRIMARY KEY (account, region, resource_type, resource_id, captured_at_ms)
);

CREATE INDEX config_item_latest ON config_item (account, region, resource_type, resource_id) WHERE latest = 1;
