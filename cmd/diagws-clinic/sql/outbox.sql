-- outbox_add
INSERT INTO outbox (diagnosis, type, message, data, created)
SELECT ?1, ?2, c.tag || '.' || ?3, ?4, ?5 FROM clinic c

-- outbox_waiting
SELECT id, diagnosis, type, message, data FROM outbox WHERE refused IS NULL ORDER BY id LIMIT ?1

-- outbox_stored
DELETE FROM outbox WHERE id = ?1

-- outbox_refused
UPDATE outbox SET refused = ?2 WHERE id = ?1
