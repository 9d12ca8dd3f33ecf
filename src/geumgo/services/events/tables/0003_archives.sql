-- What of a bus is kept to be told again. Archives and replays decide who hears what: `mac` covers every other column of their rows.

CREATE TABLE event_archive (
    partition_name TEXT NOT NULL,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    bus TEXT NOT NULL,
    description TEXT,
    pattern TEXT,                            -- NULL: everything
    retention_days BIGINT NOT NULL,          -- 0: for ever
    created_at_ms BIGINT NOT NULL,
    mac BYTEA NOT NULL,
    PRIMARY KEY (account, region, name)
);

CREATE TABLE event_archived (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    archive TEXT COLLATE "C" NOT NULL,
    at_ms BIGINT NOT NULL,                   -- when it came to the bus
    id TEXT COLLATE "C" NOT NULL,
    bytes BIGINT NOT NULL,
    event TEXT NOT NULL,                     -- JSON: the whole envelope
    PRIMARY KEY (account, region, archive, at_ms, id)
);

CREATE TABLE event_replay (
    partition_name TEXT NOT NULL,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    archive TEXT NOT NULL,
    bus TEXT NOT NULL,
    description TEXT,
    only_rules TEXT,                         -- JSON list of ARNs; NULL: every rule of the bus
    from_ms BIGINT NOT NULL,
    to_ms BIGINT NOT NULL,
    state TEXT NOT NULL,
    told_at_ms BIGINT,                       -- the last event that was told again: when it came, and which
    told_id TEXT,
    started_at_ms BIGINT NOT NULL,
    ended_at_ms BIGINT,
    mac BYTEA NOT NULL,
    PRIMARY KEY (account, region, name)
);
