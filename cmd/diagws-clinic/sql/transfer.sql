-- What goes in and out whole: import, export, and what the shell looks at beside the calls.
-- check_TABLE: a row is (the field that is wrong, why). The parameters are the fields in the order of table.c.

-- store_patients
INSERT INTO patients (id, name, mizaj, age) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (id) DO UPDATE SET name = excluded.name, mizaj = excluded.mizaj, age = excluded.age

-- dump_patients
SELECT id, name, mizaj, age FROM patients ORDER BY id

-- check_diagnoses
SELECT 'patient', 'there is no patient ' || ?2 WHERE NOT EXISTS (SELECT 1 FROM patients WHERE id = ?2)
UNION ALL
SELECT 'id', 'it has feedback, so its patient and condition stay' FROM diagnoses d
WHERE d.id = ?1 AND (d.patient <> ?2 OR d.condition <> ?3) AND (
	EXISTS (SELECT 1 FROM feedback f WHERE f.diagnosis = d.id)
	OR EXISTS (SELECT 1 FROM recommendations r JOIN feedback f ON f.recommendation = r.id WHERE r.diagnosis = d.id))
LIMIT 1

-- store_diagnoses
INSERT INTO diagnoses (id, patient, condition, symptoms, created) VALUES (?1, ?2, ?3, coalesce(?4, '[]'), coalesce(?5, ?6))
ON CONFLICT (id) DO UPDATE SET patient = excluded.patient, condition = excluded.condition,
	symptoms = coalesce(?4, symptoms), created = coalesce(?5, created)

-- dump_diagnoses
SELECT id, patient, condition, symptoms, created FROM diagnoses ORDER BY id

-- check_recommendations
SELECT 'diagnosis', 'there is no diagnosis ' || ?2 WHERE NOT EXISTS (SELECT 1 FROM diagnoses WHERE id = ?2)
UNION ALL
SELECT 'id', 'it has feedback, so its diagnosis and herb stay' FROM recommendations r
WHERE r.id = ?1 AND (r.diagnosis <> ?2 OR r.herb <> ?3) AND EXISTS (SELECT 1 FROM feedback WHERE recommendation = ?1)
LIMIT 1

-- store_recommendations
INSERT INTO recommendations (id, diagnosis, herb, dosage, frequency, duration)
VALUES (?1, ?2, ?3, coalesce(?4, ''), coalesce(?5, ''), coalesce(?6, ''))
ON CONFLICT (id) DO UPDATE SET diagnosis = excluded.diagnosis, herb = excluded.herb, dosage = excluded.dosage,
	frequency = excluded.frequency, duration = excluded.duration

-- dump_recommendations
SELECT id, diagnosis, herb, dosage, frequency, duration FROM recommendations ORDER BY id

-- check_feedback
SELECT 'diagnosis', 'there is no diagnosis ' || ?2 WHERE NOT EXISTS (SELECT 1 FROM diagnoses WHERE id = ?2)
UNION ALL
SELECT 'recommendation', ?3 || ' is not a recommendation for this diagnosis''s condition' WHERE NOT EXISTS (
	SELECT 1 FROM diagnoses d JOIN diagnoses o ON o.condition = d.condition JOIN recommendations r ON r.diagnosis = o.id
	WHERE d.id = ?2 AND r.id = ?3)
UNION ALL
SELECT 'id', 'it is another patient''s, or on another recommendation' FROM feedback f
WHERE f.id = ?1 AND (f.recommendation <> ?3 OR f.patient <> (SELECT patient FROM diagnoses WHERE id = ?2))
UNION ALL
SELECT 'id', 'this patient''s feedback on the recommendation is ' || f.id FROM feedback f
WHERE f.recommendation = ?3 AND f.patient = (SELECT patient FROM diagnoses WHERE id = ?2) AND f.id <> ?1
LIMIT 1

-- A version never goes back: pushes have it in their ids.
-- store_feedback
INSERT INTO feedback (id, diagnosis, patient, recommendation, rating, symptom_improvement, compliance, side_effects,
	comment, created, updated, version)
SELECT ?1, d.id, d.patient, ?3, ?4, ?5, ?6, ?7, ?8, coalesce(?9, ?12), coalesce(?10, ?9, ?12), coalesce(?11, 1)
FROM diagnoses d WHERE d.id = ?2
ON CONFLICT DO UPDATE SET diagnosis = excluded.diagnosis, rating = excluded.rating,
	symptom_improvement = excluded.symptom_improvement, compliance = excluded.compliance,
	side_effects = excluded.side_effects, comment = excluded.comment, created = coalesce(?9, created),
	updated = coalesce(?10, ?12), version = max(coalesce(?11, version + 1), version)

-- dump_feedback
SELECT id, diagnosis, recommendation, rating, symptom_improvement, compliance, side_effects, comment, created, updated,
	version
FROM feedback ORDER BY id

-- store_herb_symptoms
INSERT INTO herb_symptoms (herb, symptom, strength) VALUES (?1, ?2, ?3)
ON CONFLICT (herb, symptom) DO UPDATE SET strength = excluded.strength

-- dump_herb_symptoms
SELECT herb, symptom, strength FROM herb_symptoms ORDER BY herb, symptom

-- forget_predictions
DELETE FROM predictions

-- outbox_last
SELECT seq FROM sqlite_sequence WHERE name = 'outbox'

-- outbox_count
SELECT count(*) FROM outbox WHERE refused IS NULL

-- outbox_refused_count
SELECT count(*) FROM outbox WHERE refused IS NOT NULL

-- outbox_list
SELECT id, diagnosis, type, message, length(CAST(data AS BLOB)), created, refused FROM outbox ORDER BY id LIMIT ?1

-- run_due_count
SELECT count(*) FROM metrics WHERE due <= ?1

-- run_due
SELECT recommendation FROM metrics WHERE due <= ?1 ORDER BY due LIMIT ?2

-- run_all_count
SELECT count(*) FROM metrics

-- run_all
SELECT recommendation FROM metrics WHERE recommendation > ?1 ORDER BY recommendation LIMIT ?2

-- demo_is_empty
SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM patients) AND NOT EXISTS (SELECT 1 FROM herb_symptoms)

-- demo_forecast
INSERT INTO forecasts (recommendation, predicted, made) VALUES (?1, ?2, ?3)

-- demo_bring_near
UPDATE herb_symptoms SET strength = min(1.0, round(strength + (
	SELECT max(0, ranking ->> '$[0].predicted_effectiveness' - (ranking ->> '$[1].predicted_effectiveness') - 0.02) / 0.25
	FROM rankings WHERE diagnosis = ?1), 3))
WHERE herb = (SELECT ranking ->> '$[1].herb_name' FROM rankings WHERE diagnosis = ?1)
	AND symptom IN (SELECT s.value FROM diagnoses d, json_each(d.symptoms) s WHERE d.id = ?1)

-- demo_forget_rankings
DELETE FROM rankings

-- demo_empty_outbox
DELETE FROM outbox
