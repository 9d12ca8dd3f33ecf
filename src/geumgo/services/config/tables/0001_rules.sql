-- What decides on whose rights Config reads, and what it does with what it finds, carries a MAC under a key that the database does not
-- hold: `mac` covers every other column.

CREATE TABLE config_recorder (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    partition TEXT NOT NULL,
    id TEXT NOT NULL,                        -- the last part of its ARN
    name TEXT COLLATE "C" NOT NULL,
    role_arn TEXT NOT NULL,
    settings TEXT NOT NULL,                  -- JSON object: recordingGroup, recordingMode
    tags TEXT NOT NULL,                      -- JSON object
    recording BIGINT NOT NULL,
    last_start_at_ms BIGINT,
    last_stop_at_ms BIGINT,
    revision BIGINT NOT NULL,
    mac BYTEA NOT NULL,
    PRIMARY KEY (account, region)
);

CREATE TABLE config_rule (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    partition TEXT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    definition TEXT NOT NULL,                -- JSON object: the members of ConfigRule that were given
    tags TEXT NOT NULL,                      -- JSON object
    created_at_ms BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    mac BYTEA NOT NULL
);

CREATE UNIQUE INDEX config_rule_by_name ON config_rule (account, region, name);

-- How things went decides nothing: no MAC from here on.

CREATE TABLE config_delivery_channel (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    settings TEXT NOT NULL,                  -- JSON object: the other members of DeliveryChannel
    PRIMARY KEY (account, region)
);

CREATE TABLE config_recorder_status (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    status TEXT NOT NULL,                    -- Pending, Success or Failure
    changed_at_ms BIGINT NOT NULL,
    error_code TEXT NOT NULL,                -- empty: none
    error_message TEXT NOT NULL,
    PRIMARY KEY (account, region)
);

CREATE TABLE config_rule_status (
    rule_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    activated_at_ms BIGINT NOT NULL,
    asked_at_ms BIGINT,                      -- when StartConfigRulesEvaluation was called last
    succeeded_at_ms BIGINT,                  -- the last evaluation of everything that ended well: when it began
    recorded_at_ms BIGINT,                   -- and when its last verdict was kept
    failed_at_ms BIGINT,
    error_code TEXT NOT NULL,                -- of the newest evaluation; empty: it went well
    error_message TEXT NOT NULL
);

-- The newest verdict of each rule on each resource. NOT_APPLICABLE has no row.
CREATE TABLE config_verdict (
    rule_id TEXT COLLATE "C" NOT NULL,
    resource_type TEXT NOT NULL,
    resource_id TEXT COLLATE "C" NOT NULL,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    compliance TEXT NOT NULL,
    annotation TEXT NOT NULL,                -- empty: none
    memo TEXT NOT NULL,                      -- what the rule must remember of the resource; empty: nothing
    ordered_at_ms BIGINT NOT NULL,           -- when the resource was as it was judged
    invoked_at_ms BIGINT NOT NULL,
    recorded_at_ms BIGINT NOT NULL,          -- since when this is the verdict
    PRIMARY KEY (rule_id, resource_type, resource_id)
);

CREATE INDEX config_verdict_by_resource ON config_verdict (account, region, resource_type, resource_id);

-- Resources that were changed and are to be looked at.
CREATE TABLE config_touched (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    resource_type TEXT NOT NULL,
    resource_id TEXT COLLATE "C" NOT NULL,   -- as the one who changed it named it
    seen BIGINT NOT NULL,                    -- counts the changes
    PRIMARY KEY (account, region, resource_type, resource_id)
);
