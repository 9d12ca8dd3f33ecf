-- Where each record stands that can be found. `event` is as before: the time of the record, and what keeps records of one millisecond apart.
CREATE TABLE cloudtrail_record (
    event BIGINT NOT NULL PRIMARY KEY,
    chain TEXT NOT NULL,
    segment BIGINT NOT NULL,
    start_at BIGINT NOT NULL,
    size_bytes BIGINT NOT NULL,
    place BIGINT NOT NULL,
    copy BYTEA
) WITHOUT ROWID;
INSERT INTO cloudtrail_record (event, chain, segment, start_at, size_bytes, place, copy)
    SELECT event, chain, segment, start_at, size_bytes, place, copy FROM cloudtrail_event ORDER BY event;

-- What records are found by: each topic (a hash of account, region, attribute and value) with the events that have it. Events of one topic that
-- came together and belong to one moment of 1,024 ms share a row: `newest` is the last of them, `others` the rest, 8 bytes each. `span` (2^29 ms,
-- some six days) comes first, so that what is too old lies together.
CREATE TABLE cloudtrail_posting (
    span BIGINT NOT NULL,
    topic BIGINT NOT NULL,
    newest BIGINT NOT NULL,
    others BYTEA,
    PRIMARY KEY (span, topic, newest)
) WITHOUT ROWID;
INSERT INTO cloudtrail_posting (span, topic, newest)
    SELECT event >> 50, topic, event FROM (
        SELECT of_place AS topic, event FROM cloudtrail_event
        UNION SELECT of_id, event FROM cloudtrail_event
        UNION SELECT of_name, event FROM cloudtrail_event
        UNION SELECT of_source, event FROM cloudtrail_event
        UNION SELECT of_read_only, event FROM cloudtrail_event
        UNION SELECT of_user, event FROM cloudtrail_event WHERE of_user IS NOT NULL
        UNION SELECT of_key, event FROM cloudtrail_event WHERE of_key IS NOT NULL
        UNION SELECT topic, event FROM cloudtrail_topic
    ) AS had ORDER BY 1, 2, 3;

DROP TABLE cloudtrail_topic;
DROP TABLE cloudtrail_event;
