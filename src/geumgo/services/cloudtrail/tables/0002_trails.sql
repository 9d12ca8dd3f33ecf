-- Trails. `described` is JSON: everything that was decided about the trail; `mac` vouches for the row.
CREATE TABLE cloudtrail_trail (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    id TEXT NOT NULL UNIQUE,
    described TEXT NOT NULL,
    mac BYTEA NOT NULL,
    PRIMARY KEY (account, region, name)
);

-- How deliveries went, for GetTrailStatus.
CREATE TABLE cloudtrail_status (
    trail TEXT NOT NULL PRIMARY KEY,
    delivered_at_ms BIGINT,
    attempted_at_ms BIGINT,
    delivery_error TEXT,
    digested_at_ms BIGINT,
    digest_error TEXT
);

-- Events that a trail is to deliver. `file` is the log file that they will be in, once that is decided.
CREATE TABLE cloudtrail_waiting (
    trail TEXT NOT NULL,
    region TEXT NOT NULL,
    event BIGINT NOT NULL,
    file TEXT,
    PRIMARY KEY (trail, event)
);
CREATE INDEX cloudtrail_waiting_by_region ON cloudtrail_waiting (trail, region, event);
CREATE INDEX cloudtrail_waiting_by_file ON cloudtrail_waiting (file) WHERE file IS NOT NULL;

-- Log files: decided, then delivered, then (with `digest`) named in a digest file, and then gone from here.
CREATE TABLE cloudtrail_file (
    id TEXT NOT NULL PRIMARY KEY,
    trail TEXT NOT NULL,
    region TEXT NOT NULL,
    bucket TEXT NOT NULL,
    object TEXT NOT NULL,
    hash TEXT,
    oldest_at_s BIGINT,
    newest_at_s BIGINT,
    delivered_at_ms BIGINT,
    digest TEXT
);
CREATE INDEX cloudtrail_file_by_trail ON cloudtrail_file (trail, region);

-- Digest files: the newest that was delivered of each trail and region, and the one that is decided and not delivered yet.
CREATE TABLE cloudtrail_digest (
    id TEXT NOT NULL PRIMARY KEY,
    trail TEXT NOT NULL,
    region TEXT NOT NULL,
    started_at_s BIGINT NOT NULL,
    ended_at_s BIGINT NOT NULL,
    bucket TEXT NOT NULL,
    object TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    hash TEXT,
    signature TEXT
);
CREATE INDEX cloudtrail_digest_by_trail ON cloudtrail_digest (trail, region);

-- What digest files are signed with: RSA keys, the private half sealed. Public halves are shown for ever.
CREATE TABLE cloudtrail_signing_key (
    fingerprint TEXT NOT NULL PRIMARY KEY,
    public_key BYTEA NOT NULL,
    sealed BYTEA NOT NULL,
    valid_from_ms BIGINT NOT NULL,
    valid_until_ms BIGINT NOT NULL
);
