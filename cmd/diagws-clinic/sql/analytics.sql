-- Results of recommendations: what they are made of, and lists of them.

-- analytics_recommendation
SELECT diagnosis, herb FROM recommendations WHERE id = ?1

-- analytics_recommendations
SELECT id, herb FROM recommendations WHERE diagnosis = ?1 ORDER BY id

-- analytics_diagnosis
SELECT condition FROM diagnoses WHERE id = ?1

-- analytics_records
SELECT created, rating, symptom_improvement FROM feedback WHERE recommendation = ?1 AND created >= ?2

-- analytics_records_of_condition
SELECT f.created, f.rating, f.symptom_improvement
FROM diagnoses d JOIN recommendations r ON r.diagnosis = d.id JOIN feedback f ON f.recommendation = r.id
WHERE d.condition = ?1 AND f.created >= ?2

-- analytics_records_of_herb
SELECT f.created, f.rating, f.symptom_improvement
FROM recommendations r JOIN feedback f ON f.recommendation = r.id
WHERE r.herb = ?1 AND f.created >= ?2

-- NULL: there is no such condition.
-- analytics_condition
SELECT CASE WHEN EXISTS (SELECT 1 FROM diagnoses WHERE condition = ?1) THEN
	(SELECT count(*) FROM diagnoses d JOIN recommendations r ON r.diagnosis = d.id WHERE d.condition = ?1) END

-- analytics_herb
SELECT nullif(count(*), 0) FROM recommendations WHERE herb = ?1

-- analytics_result
SELECT due, version, effectiveness, confidence, cases, trend FROM metrics WHERE recommendation = ?1

-- analytics_keep
UPDATE metrics SET due = nullif(?2, 0), version = ?3, effectiveness = ?4, confidence = ?5, cases = ?6, trend = ?7,
	average_rating = ?8, computed = ?9
WHERE recommendation = ?1

-- analytics_forget
UPDATE metrics SET due = nullif(?2, 0), effectiveness = NULL, confidence = NULL, cases = NULL, trend = NULL,
	average_rating = NULL, computed = ?3
WHERE recommendation = ?1

-- analytics_best
SELECT m.recommendation, r.herb, r.diagnosis, m.effectiveness, m.confidence, m.cases, m.trend, m.average_rating
FROM metrics m JOIN recommendations r ON r.id = m.recommendation
WHERE m.cases >= ?2 ORDER BY m.effectiveness DESC, m.cases DESC, m.recommendation LIMIT ?1

-- analytics_worst
SELECT m.recommendation, r.herb, r.diagnosis, m.effectiveness, m.confidence, m.cases, m.trend, m.average_rating
FROM metrics m JOIN recommendations r ON r.id = m.recommendation
WHERE m.cases >= ?2 ORDER BY m.effectiveness, m.cases DESC, m.recommendation LIMIT ?1

-- analytics_trending
SELECT m.recommendation, r.herb, r.diagnosis, m.effectiveness, m.confidence, m.cases, m.trend, m.average_rating
FROM metrics m JOIN recommendations r ON r.id = m.recommendation
WHERE m.trend = 'improving' AND m.cases >= ?2 ORDER BY m.effectiveness DESC, m.cases DESC, m.recommendation LIMIT ?1

-- analytics_status
SELECT (SELECT count(*) FROM metrics WHERE cases IS NOT NULL), (SELECT count(*) FROM metrics WHERE due <= ?1),
	(SELECT count(*) FROM feedback), (SELECT count(*) FROM outbox WHERE refused IS NULL),
	(SELECT max(computed) FROM metrics)
