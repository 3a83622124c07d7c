-- diagnosis_of_recommendation
SELECT diagnosis FROM recommendations WHERE id = ?1

-- diagnosis_of_feedback
SELECT diagnosis FROM feedback WHERE id = ?1

-- diagnoses_of_patient
SELECT id FROM diagnoses WHERE patient = ?1 LIMIT 100
