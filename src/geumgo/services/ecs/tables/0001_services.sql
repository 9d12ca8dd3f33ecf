-- Clusters and services are names here: nothing is run.

CREATE TABLE ecs_cluster (
    partition TEXT NOT NULL,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    kept TEXT NOT NULL,                      -- JSON object: what was said of it that is shown again
    tags TEXT NOT NULL,                      -- JSON object
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (account, region, name)
);

CREATE TABLE ecs_service (
    partition TEXT NOT NULL,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    cluster TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    id TEXT NOT NULL,                        -- of this one: a later service of that name is another one
    kept TEXT NOT NULL,                      -- JSON object
    tags TEXT NOT NULL,                      -- JSON object
    is_leaving BIGINT NOT NULL,              -- 1: it is deleted, and goes when its secrets have gone
    created_at_ms BIGINT NOT NULL,
    updated_at_ms BIGINT NOT NULL,
    PRIMARY KEY (account, region, cluster, name)
);

-- A name under which a service is spoken to by TLS, and the secret that holds its certificate. `mac` covers every other column: as whom a
-- secret is made, and who signs, is nothing that a row changed from outside may decide.

CREATE TABLE ecs_endpoint (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    partition TEXT NOT NULL,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    cluster TEXT COLLATE "C" NOT NULL,
    service TEXT COLLATE "C" NOT NULL,
    port TEXT NOT NULL,                      -- the name of the port
    names TEXT NOT NULL,                     -- JSON list of DNS names
    authority TEXT NOT NULL,                 -- ARN of who signs
    role TEXT NOT NULL,                      -- ARN of the infrastructure role
    kms_key TEXT NOT NULL,                   -- empty: the default key
    secret_arn TEXT NOT NULL,                -- empty: it is still to be made
    is_leaving BIGINT NOT NULL,
    message TEXT NOT NULL,                   -- why it waits
    created_at_ms BIGINT NOT NULL,
    mac BYTEA NOT NULL
);

CREATE INDEX ecs_endpoint_by_service ON ecs_endpoint (account, region, cluster, service);
CREATE INDEX ecs_endpoint_by_secret ON ecs_endpoint (secret_arn);

CREATE TABLE ecs_authority (
    arn TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    certificate TEXT NOT NULL,               -- PEM
    private_key BYTEA NOT NULL,              -- sealed
    created_at_ms BIGINT NOT NULL,
    mac BYTEA NOT NULL
);
