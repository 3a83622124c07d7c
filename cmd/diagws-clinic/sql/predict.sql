-- Predictions, rankings, and how both went. Of what a prediction is made of, each part is read by an index.

-- predict_recommendations
SELECT id, herb FROM recommendations WHERE diagnosis = ?1 ORDER BY id LIMIT ?2

-- predict_recommendation
SELECT herb, dosage, frequency, duration FROM recommendations WHERE id = ?1

-- predict_feedback
SELECT created, rating, symptom_improvement FROM feedback WHERE recommendation = ?1 AND created BETWEEN ?2 AND ?3

-- predict_cohort
-- The newest of the other patients of the same mizaj who said something of the herb.
SELECT sum(good), sum(cases), count(*) FROM (
	SELECT c.good, c.cases
	FROM diagnoses d CROSS JOIN patients p ON p.id = d.patient
		CROSS JOIN cohort c ON c.herb = ?2 AND c.mizaj = p.mizaj AND c.patient <> p.id
	WHERE d.id = ?1 ORDER BY c.last DESC, c.patient DESC LIMIT ?3)

-- predict_symptoms
SELECT sum(strength), count(*) FROM herb_symptoms
WHERE herb = ?2 AND symptom IN (SELECT s.value FROM diagnoses d, json_each(d.symptoms) s WHERE d.id = ?1)

-- prediction_kept
SELECT made, answer FROM predictions WHERE diagnosis = ?1 AND optimization = ?2 AND made BETWEEN ?3 AND ?4

-- prediction_keep
INSERT INTO predictions (diagnosis, optimization, made, answer) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (diagnosis, optimization) DO UPDATE SET made = excluded.made, answer = excluded.answer

-- forecast_keep
INSERT INTO forecasts (recommendation, predicted, made) VALUES (?1, ?2, ?3) ON CONFLICT (recommendation) DO NOTHING

-- forecast
SELECT predicted, made FROM forecasts WHERE recommendation = ?1

-- forecasts
SELECT r.id, r.herb, f.predicted, f.made FROM recommendations r JOIN forecasts f ON f.recommendation = r.id
WHERE r.diagnosis = ?1 ORDER BY r.id LIMIT ?2

-- ranking_told
SELECT version, ranking FROM rankings WHERE diagnosis = ?1

-- ranking_told_ids
SELECT e.value ->> 'recommendation_id' FROM rankings r, json_each(r.ranking) e WHERE r.diagnosis = ?1 ORDER BY e.key

-- ranking_keep
INSERT INTO rankings (diagnosis, version, ranking) VALUES (?1, ?2, ?3)
ON CONFLICT (diagnosis) DO UPDATE SET version = excluded.version, ranking = excluded.ranking

-- profile_patient
SELECT name, mizaj, age FROM patients WHERE id = ?1

-- profile_diagnoses
SELECT id, condition FROM diagnoses WHERE patient = ?1 ORDER BY created DESC, id LIMIT ?2

-- profile_feedback
SELECT count(*), sum(rating), sum(symptom_improvement), count(compliance), sum(compliance)
FROM feedback WHERE patient = ?1

-- profile_herbs
SELECT r.herb, count(*) AS cases, sum(f.rating >= ?2) AS good
FROM feedback f JOIN recommendations r ON r.id = f.recommendation
WHERE f.patient = ?1 GROUP BY r.herb ORDER BY good * 1.0 / cases DESC, cases DESC, r.herb LIMIT ?3
