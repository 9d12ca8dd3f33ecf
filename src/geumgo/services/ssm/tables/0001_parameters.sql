-- Rows that decide rights or meaning carry a MAC under a key that the database does not hold: `mac` covers every other
-- column of its row. Values of every type are sealed: those of SecureString by KMS, the others under the root key.

CREATE TABLE ssm_parameter (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    partition TEXT NOT NULL,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT NOT NULL,                      -- as it was spelled at its creation
    path TEXT COLLATE "C" NOT NULL,          -- the name with its leading slash: what tells parameters apart
    parent TEXT COLLATE "C" NOT NULL,        -- the path of the level that it lies in, "/" for the uppermost
    version BIGINT NOT NULL,                 -- the newest
    labels TEXT NOT NULL,                    -- JSON object: label to version
    tags TEXT NOT NULL,                      -- JSON object
    policies TEXT NOT NULL,                  -- JSON list of [policy, status]
    expires_at_ms BIGINT,                    -- what an Expiration among them says
    changed_at_ms BIGINT NOT NULL,           -- when the newest version was put
    policy_id TEXT NOT NULL,                 -- of the resource policy; empty: there is none
    policy_hash TEXT NOT NULL,               -- SHA-256 of its document in ssm_resource_policy
    revision BIGINT NOT NULL,
    mac BYTEA NOT NULL
);

CREATE UNIQUE INDEX ssm_parameter_by_path ON ssm_parameter (account, region, path);
CREATE INDEX ssm_parameter_by_parent ON ssm_parameter (account, region, parent, path);
CREATE INDEX ssm_parameter_shared ON ssm_parameter (region, id) WHERE policy_hash <> '';

CREATE TABLE ssm_parameter_version (
    parameter_id TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    kind TEXT NOT NULL,                      -- String, StringList, SecureString
    tier TEXT NOT NULL,                      -- Standard, Advanced
    data_type TEXT NOT NULL,
    description TEXT NOT NULL,               -- empty: none
    allowed_pattern TEXT NOT NULL,           -- empty: none
    key_id TEXT NOT NULL,                    -- the KMS key as it was given; empty: not a SecureString
    policies TEXT NOT NULL,                  -- as in ssm_parameter, when this version was put
    sealed BYTEA NOT NULL,                   -- the value
    wrapped BYTEA,                           -- its data key, where it has one of its own
    modified_at_ms BIGINT NOT NULL,
    modified_by TEXT NOT NULL,               -- the ARN of who put it
    mac BYTEA NOT NULL,
    PRIMARY KEY (parameter_id, number)
);

CREATE TABLE ssm_resource_policy (
    parameter_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    document TEXT NOT NULL
);

CREATE TABLE ssm_setting (
    account TEXT COLLATE "C" NOT NULL,
    region TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    value TEXT NOT NULL,
    modified_at_ms BIGINT NOT NULL,
    modified_by TEXT NOT NULL,
    mac BYTEA NOT NULL,
    PRIMARY KEY (account, region, id)
);
