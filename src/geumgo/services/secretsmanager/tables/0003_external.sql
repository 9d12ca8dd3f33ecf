-- How a managed external secret is rotated: as which role, and what its partner wants to know. `mac` covers every other column.

CREATE TABLE secret_external (
    secret_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    role_arn TEXT NOT NULL,
    metadata TEXT NOT NULL,                  -- JSON list of pairs, as it was given
    mac BYTEA NOT NULL
);
