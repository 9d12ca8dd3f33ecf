-- What is sent where, and as whom: `mac` covers every other column of its row. The credentials lie in a secret.

CREATE TABLE event_connection (
    partition_name TEXT NOT NULL,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    suffix TEXT NOT NULL,                    -- what stands behind the name in its ARN
    description TEXT,
    kind TEXT NOT NULL,                      -- AuthorizationType
    state TEXT NOT NULL,
    state_reason TEXT,
    secret_arn TEXT,                         -- NULL: it was deauthorized
    kms_key_id TEXT,
    parameters TEXT NOT NULL,                -- JSON: AuthParameters without what is secret
    created_at_ms BIGINT NOT NULL,
    changed_at_ms BIGINT NOT NULL,
    authorized_at_ms BIGINT,
    mac BYTEA NOT NULL,
    PRIMARY KEY (account, region, name)
);

CREATE TABLE event_api_destination (
    partition_name TEXT NOT NULL,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    suffix TEXT NOT NULL,
    description TEXT,
    connection_arn TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    method TEXT NOT NULL,
    per_second BIGINT,                       -- calls at most; NULL: as AWS has it, 300
    created_at_ms BIGINT NOT NULL,
    changed_at_ms BIGINT NOT NULL,
    mac BYTEA NOT NULL,
    PRIMARY KEY (account, region, name)
);

-- When a destination may be called next. It decides nothing but pace.
CREATE TABLE event_pace (
    arn TEXT NOT NULL PRIMARY KEY,
    free_at_ms BIGINT NOT NULL
);
