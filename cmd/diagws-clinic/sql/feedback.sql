-- What patients say: giving it, changing it, and what it adds up to.

-- feedback_diagnosis
SELECT patient FROM diagnoses WHERE id = ?1

-- feedback_fits
SELECT 1 FROM recommendations r
JOIN diagnoses theirs ON theirs.id = r.diagnosis
JOIN diagnoses own ON own.id = ?2
WHERE r.id = ?1 AND theirs.condition = own.condition

-- feedback_given
SELECT id FROM feedback WHERE patient = ?1 AND recommendation = ?2

-- feedback_insert
INSERT INTO feedback (patient, recommendation, diagnosis, rating, symptom_improvement, compliance, side_effects, comment,
	created, updated)
VALUES (?1, ?2, ?3, ?4, ?5, nullif(?6, 0), nullif(?7, ''), nullif(?8, ''), ?9, ?9)

-- What stays as it was: a diagnosis or text of NULL, a number of 0; of compliance, -1.
-- feedback_change
UPDATE feedback SET
	diagnosis = coalesce(?2, diagnosis),
	rating = coalesce(nullif(?3, 0), rating),
	symptom_improvement = coalesce(nullif(?4, 0), symptom_improvement),
	compliance = CASE ?5 WHEN -1 THEN compliance ELSE nullif(?5, 0) END,
	side_effects = CASE WHEN ?6 IS NULL THEN side_effects ELSE nullif(?6, '') END,
	comment = CASE WHEN ?7 IS NULL THEN comment ELSE nullif(?7, '') END,
	updated = ?8,
	version = version + 1
WHERE id = ?1

-- feedback_stored
SELECT f.id, f.version, f.patient, f.diagnosis, f.recommendation, r.diagnosis, r.herb, f.rating, f.symptom_improvement,
	f.compliance, f.comment
FROM feedback f JOIN recommendations r ON r.id = f.recommendation
WHERE f.id = ?1

-- feedback_count
SELECT count(*) FROM feedback WHERE recommendation = ?1

-- Of the recommendation's diagnosis, and of all of the patient's.
-- feedback_outdates
DELETE FROM predictions WHERE diagnosis = ?1 OR diagnosis IN (SELECT id FROM diagnoses WHERE patient = ?2)

-- feedback_history
SELECT f.id, f.diagnosis, f.recommendation, r.herb, f.rating, f.symptom_improvement, f.compliance, f.side_effects,
	f.comment, f.created, f.updated, f.version
FROM feedback f JOIN recommendations r ON r.id = f.recommendation
ORDER BY f.created DESC, f.id DESC LIMIT ?1

-- feedback_history_of_diagnosis
SELECT f.id, f.diagnosis, f.recommendation, r.herb, f.rating, f.symptom_improvement, f.compliance, f.side_effects,
	f.comment, f.created, f.updated, f.version
FROM feedback f JOIN recommendations r ON r.id = f.recommendation
WHERE f.diagnosis = ?2
ORDER BY f.created DESC, f.id DESC LIMIT ?1

-- feedback_summary
SELECT count(*), sum(rating), sum(symptom_improvement), sum(compliance), count(compliance), sum(rating >= 3)
FROM feedback WHERE recommendation = ?1

-- feedback_latest_comment
SELECT comment FROM feedback
WHERE recommendation = ?1 AND comment IS NOT NULL
	AND (NOT ?2 OR diagnosis = (SELECT diagnosis FROM recommendations WHERE id = ?1))
ORDER BY created DESC, id DESC LIMIT 1

-- Lists are taken apart at commas, the Persian one too.
-- feedback_side_effects_of
WITH RECURSIVE parts (times, part, rest) AS (
	SELECT 1, '', replace(side_effects, '،', ',') || ',' FROM feedback
	WHERE recommendation = ?1 AND side_effects IS NOT NULL
	UNION ALL
	SELECT times, trim(substr(rest, 1, instr(rest, ',') - 1), ' ' || char(9, 10, 13)), substr(rest, instr(rest, ',') + 1)
	FROM parts WHERE rest <> ''
)
SELECT lower(part), sum(times) FROM parts WHERE part <> '' GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?2

-- feedback_side_effects
WITH RECURSIVE parts (times, part, rest) AS (
	SELECT count(*), '', replace(side_effects, '،', ',') || ',' FROM feedback
	WHERE side_effects IS NOT NULL GROUP BY side_effects
	UNION ALL
	SELECT times, trim(substr(rest, 1, instr(rest, ',') - 1), ' ' || char(9, 10, 13)), substr(rest, instr(rest, ',') + 1)
	FROM parts WHERE rest <> ''
)
SELECT lower(part), sum(times) FROM parts WHERE part <> '' GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?1

-- feedback_overview
SELECT r.id, r.herb, count(f.id), sum(f.rating), sum(f.symptom_improvement)
FROM recommendations r LEFT JOIN feedback f ON f.recommendation = r.id
WHERE r.diagnosis = ?1 GROUP BY r.id ORDER BY r.id
