-- Rows that decide what is sent where carry a MAC under a key that the database does not hold: `mac` covers every other
-- column of its row.

CREATE TABLE event_bus (
    partition_name TEXT NOT NULL,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,          -- "default" has a row once it has a policy, tags or a description
    description TEXT,
    policy TEXT,                             -- its resource policy, principals by unique id
    tags TEXT NOT NULL,                      -- JSON object
    created_at_ms BIGINT NOT NULL,
    changed_at_ms BIGINT NOT NULL,
    mac BYTEA NOT NULL,
    PRIMARY KEY (account, region, name)
);

CREATE TABLE event_rule (
    partition_name TEXT NOT NULL,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    bus TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    pattern TEXT,
    schedule TEXT,
    state TEXT NOT NULL,                     -- as PutRule has it
    description TEXT,
    role_arn TEXT,
    tags TEXT NOT NULL,                      -- JSON object
    created_by TEXT NOT NULL,                -- an account
    scheduled_at_ms BIGINT NOT NULL,         -- since when its schedule counts
    mac BYTEA NOT NULL,
    PRIMARY KEY (account, region, bus, name)
);

CREATE TABLE event_target (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    bus TEXT COLLATE "C" NOT NULL,
    rule TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    arn TEXT COLLATE "C" NOT NULL,
    document TEXT NOT NULL,                  -- JSON: the target as PutTargets was given it
    mac BYTEA NOT NULL,
    PRIMARY KEY (account, region, bus, rule, id)
);

CREATE INDEX event_target_by_arn ON event_target (account, region, arn);

-- A random text that differs after every change of what events are matched against. No row: nothing was ever there.
CREATE TABLE event_generation (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    generation TEXT NOT NULL,
    PRIMARY KEY (account, region)
);

-- An event on its way to one target. The row is gone when it has arrived, or never will.
CREATE TABLE event_delivery (
    id TEXT NOT NULL PRIMARY KEY,            -- follows from event, rule and target: whoever promises twice promises once
    account TEXT NOT NULL,                   -- of the rule
    region TEXT NOT NULL,
    bus TEXT NOT NULL,
    rule TEXT NOT NULL,
    target TEXT NOT NULL,
    event TEXT NOT NULL,                     -- JSON: the whole envelope
    hops BIGINT NOT NULL,                    -- buses that it was forwarded from
    attempts BIGINT NOT NULL,
    ingested_at_ms BIGINT NOT NULL
);
