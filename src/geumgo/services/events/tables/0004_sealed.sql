-- Events may hold anything that their senders put there: they are kept sealed. Rows from before have theirs in `event`.
ALTER TABLE event_delivery ADD COLUMN sealed BYTEA;
ALTER TABLE event_archived ADD COLUMN sealed BYTEA;

-- How often a destination did not answer at all, one time after the other.
ALTER TABLE event_pace ADD COLUMN failures BIGINT NOT NULL DEFAULT 0;
