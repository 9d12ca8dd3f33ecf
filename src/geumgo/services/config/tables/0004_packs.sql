-- Several rules that were put together. `mac` covers every other column.
CREATE TABLE config_pack (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    partition TEXT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    settings TEXT NOT NULL,                  -- JSON object: what DescribeConformancePacks shows besides
    rules TEXT NOT NULL,                     -- JSON object: names in its template to ids of rules
    tags TEXT NOT NULL,                      -- JSON object
    state TEXT NOT NULL,                     -- CREATE_COMPLETE or UPDATE_COMPLETE
    updated_at_ms BIGINT NOT NULL,
    mac BYTEA NOT NULL
);

CREATE UNIQUE INDEX config_pack_by_name ON config_pack (account, region, name);
