-- `mac` covers every other column: where a password is sent, and as whom, is nothing that a row changed from outside may decide.

CREATE TABLE redshift_cluster (
    partition TEXT NOT NULL,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    kind TEXT NOT NULL,                      -- cluster
    identifier TEXT COLLATE "C" NOT NULL,
    resource_id TEXT NOT NULL,
    engine TEXT NOT NULL,
    host TEXT NOT NULL,
    port BIGINT NOT NULL,
    tls BIGINT NOT NULL,
    database_name TEXT NOT NULL,
    username TEXT NOT NULL,
    kept TEXT NOT NULL,                      -- JSON object: what was said of it that is shown again
    tags TEXT NOT NULL,                      -- JSON object
    status TEXT NOT NULL,
    message TEXT NOT NULL,
    task TEXT NOT NULL,                      -- what is to be done to it; empty: nothing
    token TEXT NOT NULL,                     -- of the task
    asked_at_ms BIGINT NOT NULL,
    secret_arn TEXT NOT NULL,                -- empty: the master password is not managed
    secret_status TEXT NOT NULL,
    secret_key TEXT NOT NULL,
    password BYTEA,                          -- sealed; NULL: the secret has it
    next_password BYTEA,
    created_at_ms BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    mac BYTEA NOT NULL,
    PRIMARY KEY (account, region, kind, identifier)
);

CREATE INDEX redshift_cluster_by_secret ON redshift_cluster (secret_arn);
