-- What LookupEvents finds records by. The records themselves stand in the trail: a row says where. `event` is the time of the record
-- (Unix milliseconds) times 2^21, and a number that keeps records of one millisecond apart; so rows are in the order of time. The columns
-- `of_*` are hashes of account, region, attribute and value; what is found is compared with the record itself.
CREATE TABLE cloudtrail_event (
    event BIGINT NOT NULL PRIMARY KEY,
    of_place BIGINT NOT NULL,
    of_id BIGINT NOT NULL,
    of_name BIGINT NOT NULL,
    of_source BIGINT NOT NULL,
    of_read_only BIGINT NOT NULL,
    of_user BIGINT,
    of_key BIGINT,
    chain TEXT NOT NULL,
    segment BIGINT NOT NULL,
    start_at BIGINT NOT NULL,
    size_bytes BIGINT NOT NULL,
    place BIGINT NOT NULL,
    copy BYTEA
);
CREATE INDEX cloudtrail_event_by_place ON cloudtrail_event (of_place, event);
CREATE INDEX cloudtrail_event_by_id ON cloudtrail_event (of_id, event);
CREATE INDEX cloudtrail_event_by_name ON cloudtrail_event (of_name, event);
CREATE INDEX cloudtrail_event_by_source ON cloudtrail_event (of_source, event);
CREATE INDEX cloudtrail_event_by_read_only ON cloudtrail_event (of_read_only, event);
CREATE INDEX cloudtrail_event_by_user ON cloudtrail_event (of_user, event) WHERE of_user IS NOT NULL;
CREATE INDEX cloudtrail_event_by_key ON cloudtrail_event (of_key, event) WHERE of_key IS NOT NULL;

-- Resources by name and type; and everything that a record is found by in a second account which it concerns.
CREATE TABLE cloudtrail_topic (
    topic BIGINT NOT NULL,
    event BIGINT NOT NULL
);
CREATE INDEX cloudtrail_topic_by_topic ON cloudtrail_topic (topic, event);
CREATE INDEX cloudtrail_topic_by_event ON cloudtrail_topic (event);

-- How far each chain of the trail was read, by whom. `open_intents` is JSON: intents whose outcome was not read yet.
CREATE TABLE cloudtrail_position (
    reader TEXT NOT NULL,
    chain TEXT NOT NULL,
    segment BIGINT NOT NULL,
    offset_bytes BIGINT NOT NULL,
    open_intents TEXT NOT NULL,
    PRIMARY KEY (reader, chain)
);
