-- outbox_add
INSERT INTO outbox (diagnosis, type, message, data, created)
SELECT ?1, ?2, c.tag || '.' || ?3, ?4, ?5 FROM clinic c

-- outbox_waiting
SELECT id, diagnosis, type, message, data FROM outbox WHERE refused IS NULL ORDER BY id LIMIT ?1

-- outbox_stored
DELETE FROM outbox WHERE id = ?1

-- outbox_refused
UPDATE outbox SET refused = ?2 WHERE id = ?1

-- The hub knows the message's id from elsewhere: this file is a copy, or was brought back from one. It takes another
-- tag, unless it has done so since; and the message too, unless somebody else has seen to it.
-- outbox_new_tag
UPDATE clinic SET tag = lower(hex(randomblob(6))) WHERE one = 1 AND tag = substr(?1, 1, instr(?1, '.') - 1)

-- outbox_rename
UPDATE outbox SET message = (SELECT tag FROM clinic WHERE one = 1) || substr(message, instr(message, '.'))
WHERE id = ?1 AND message = ?2
