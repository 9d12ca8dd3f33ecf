-- Rows that decide rights or meaning carry a MAC under a key that the database does not hold: `mac` covers every other
-- column of its row but `current_version`, which repeats `stages`.

CREATE TABLE secret (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    partition TEXT NOT NULL,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    suffix TEXT NOT NULL,                    -- the six characters after the name in the ARN
    description TEXT NOT NULL,               -- empty: none
    kms_key_id TEXT,                         -- as it was given; NULL: the default key
    created_token TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    changed_at_ms BIGINT NOT NULL,
    deleted_at_ms BIGINT,                    -- when its deletion was asked for
    purge_at_ms BIGINT,                      -- when it is gone for good
    owning_service TEXT,
    secret_type TEXT,
    stages TEXT NOT NULL,                    -- JSON object: label to version
    tags TEXT,                               -- JSON object; NULL: never tagged
    policy_hash TEXT NOT NULL,               -- SHA-256 of the document in secret_policy; empty: there is none
    current_version TEXT COLLATE "C",
    revision BIGINT NOT NULL,
    mac BYTEA NOT NULL
);

CREATE UNIQUE INDEX secret_by_name ON secret (account, region, name);
CREATE INDEX secret_by_creation ON secret (account, region, created_at_ms, id);
CREATE INDEX secret_by_change ON secret (account, region, changed_at_ms, id);

CREATE TABLE secret_version (
    secret_id TEXT COLLATE "C" NOT NULL,
    version_id TEXT COLLATE "C" NOT NULL,
    kind TEXT NOT NULL,                      -- string, binary, or none: a version that waits for its value
    ciphertext BYTEA,
    created_at_ms BIGINT NOT NULL,
    mac BYTEA NOT NULL,
    PRIMARY KEY (secret_id, version_id)
);

-- The data keys, wrapped by KMS. Narrow, so that what is deleted leaves few pages to clean.
CREATE TABLE secret_version_key (
    secret_id TEXT COLLATE "C" NOT NULL,
    version_id TEXT COLLATE "C" NOT NULL,
    place BIGINT NOT NULL,                   -- 0: the newest wrapping
    key_arn TEXT NOT NULL,
    is_default BIGINT NOT NULL,
    wrapped BYTEA NOT NULL,
    PRIMARY KEY (secret_id, version_id, place)
);

CREATE TABLE secret_policy (
    secret_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    document TEXT NOT NULL
);

-- Days of use decide nothing: no MAC. They are written behind reads and must not touch the rows above.
CREATE TABLE secret_read (
    secret_id TEXT COLLATE "C" NOT NULL,
    version_id TEXT COLLATE "C" NOT NULL,    -- empty: the secret as a whole
    day_ms BIGINT NOT NULL,                  -- midnight UTC
    PRIMARY KEY (secret_id, version_id)
);
