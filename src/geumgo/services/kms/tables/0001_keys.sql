-- Rows that decide rights carry a MAC under a key that the database does not hold: `mac` covers every other column.

CREATE TABLE kms_key (
    region TEXT NOT NULL,
    id TEXT COLLATE "C" NOT NULL,            -- 32 hexadecimal digits
    partition TEXT NOT NULL,
    account TEXT NOT NULL,
    multi_region BIGINT NOT NULL,
    primary_region TEXT NOT NULL,            -- empty unless multi_region
    spec TEXT NOT NULL,
    usage TEXT NOT NULL,
    origin TEXT NOT NULL,
    manager TEXT NOT NULL,                   -- AWS or CUSTOMER
    state TEXT NOT NULL,
    description TEXT NOT NULL,
    policy TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    version BIGINT NOT NULL,                 -- of the material that encrypts; 0: none
    tags TEXT NOT NULL,                      -- JSON object
    aliases TEXT NOT NULL,                   -- JSON array; repeats kms_alias
    grants BIGINT NOT NULL,                  -- how many; repeats kms_grant
    deletion_at_ms BIGINT,
    pending_window_days BIGINT,
    rotation_days BIGINT,
    next_rotation_at_ms BIGINT,
    revision BIGINT NOT NULL,
    mac BYTEA NOT NULL,
    PRIMARY KEY (region, id)
);

CREATE INDEX kms_key_by_owner ON kms_key (account, region, id);
CREATE INDEX kms_key_by_id ON kms_key (id);

-- Narrow, so that a destroyed key leaves few pages to clean.
CREATE TABLE kms_material (
    region TEXT NOT NULL,
    key_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    material_id TEXT NOT NULL,
    sealed BYTEA,                            -- NULL: imported material that is missing
    public BYTEA NOT NULL,
    state TEXT NOT NULL,
    made_at_ms BIGINT NOT NULL,
    rotation TEXT,
    rotated_at_ms BIGINT,
    expires_at_ms BIGINT,
    description TEXT NOT NULL,
    PRIMARY KEY (region, key_id, version)
);

CREATE TABLE kms_alias (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    key_id TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    updated_at_ms BIGINT NOT NULL,
    mac BYTEA NOT NULL,
    PRIMARY KEY (account, region, name)
);

CREATE INDEX kms_alias_by_key ON kms_alias (region, key_id, name);

CREATE TABLE kms_grant (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    region TEXT NOT NULL,
    key_id TEXT NOT NULL,
    issuer TEXT NOT NULL,                    -- account
    grantee TEXT NOT NULL,
    retiring TEXT NOT NULL,                  -- empty: none
    name TEXT NOT NULL,                      -- empty: none
    operations TEXT NOT NULL,                -- JSON array
    equals TEXT,                             -- JSON object
    subset TEXT,                             -- JSON object
    source_arn TEXT,
    created_at_ms BIGINT NOT NULL,
    mac BYTEA NOT NULL
);

CREATE INDEX kms_grant_by_key ON kms_grant (region, key_id, id);
CREATE INDEX kms_grant_by_grantee ON kms_grant (region, key_id, grantee, id);
CREATE INDEX kms_grant_by_retiring ON kms_grant (region, retiring, id);

-- Dates of use decide nothing: no MAC.
CREATE TABLE kms_usage (
    region TEXT NOT NULL,
    key_id TEXT NOT NULL,
    operation TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    request_id TEXT NOT NULL,
    PRIMARY KEY (region, key_id)
);
