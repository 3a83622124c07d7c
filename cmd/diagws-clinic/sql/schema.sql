-- The clinic's tables, version 1 (PRAGMA user_version). What the program checks with better words is checked here
-- once more, so that no other way in can break it. Times are whole seconds since 1970, UTC.

-- schema_1
CREATE TABLE clinic (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	tag TEXT NOT NULL -- at random; begins the ids of all that it pushes. Another one once the hub knows such an id
) STRICT;

CREATE TABLE patients (
	id INTEGER PRIMARY KEY CHECK (id > 0),
	name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
	mizaj TEXT CHECK (length(mizaj) BETWEEN 1 AND 64), -- NULL: not known, so nobody is like him
	age INTEGER CHECK (age BETWEEN 0 AND 150)
) STRICT;

CREATE TABLE diagnoses (
	id TEXT PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 64),
	patient INTEGER NOT NULL REFERENCES patients,
	condition TEXT NOT NULL CHECK (length(condition) BETWEEN 1 AND 64),
	symptoms TEXT NOT NULL, -- a JSON array of texts
	created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX diagnoses_of_patient ON diagnoses (patient);
CREATE INDEX diagnoses_with_condition ON diagnoses (condition);

CREATE TABLE recommendations (
	id INTEGER PRIMARY KEY CHECK (id > 0),
	diagnosis TEXT NOT NULL REFERENCES diagnoses,
	herb TEXT NOT NULL CHECK (length(herb) BETWEEN 1 AND 64),
	dosage TEXT NOT NULL DEFAULT '' CHECK (length(dosage) <= 200),
	frequency TEXT NOT NULL DEFAULT '' CHECK (length(frequency) <= 200),
	duration TEXT NOT NULL DEFAULT '' CHECK (length(duration) <= 200)
) STRICT;
CREATE INDEX recommendations_of_diagnosis ON recommendations (diagnosis);
CREATE INDEX recommendations_of_herb ON recommendations (herb);

-- One for each patient and recommendation. `diagnosis` is the patient's own, for which it was given: many patients
-- with the same condition follow one recommendation.
CREATE TABLE feedback (
	id INTEGER PRIMARY KEY CHECK (id > 0),
	patient INTEGER NOT NULL REFERENCES patients,
	recommendation INTEGER NOT NULL REFERENCES recommendations,
	diagnosis TEXT NOT NULL REFERENCES diagnoses,
	rating INTEGER NOT NULL CHECK (rating BETWEEN 1 AND 5),
	symptom_improvement INTEGER NOT NULL CHECK (symptom_improvement BETWEEN 1 AND 5),
	compliance INTEGER CHECK (compliance BETWEEN 1 AND 5),
	side_effects TEXT CHECK (length(side_effects) BETWEEN 1 AND 500), -- separated by commas
	comment TEXT CHECK (length(comment) BETWEEN 1 AND 500),
	created INTEGER NOT NULL,
	updated INTEGER NOT NULL,
	version INTEGER NOT NULL DEFAULT 1,
	UNIQUE (patient, recommendation)
) STRICT;
CREATE INDEX feedback_on_recommendation ON feedback (recommendation, created, rating, symptom_improvement);
CREATE INDEX feedback_newest ON feedback (created);
CREATE INDEX feedback_of_diagnosis ON feedback (diagnosis, created);
CREATE INDEX feedback_with_side_effects ON feedback (side_effects) WHERE side_effects IS NOT NULL;

CREATE TABLE herb_symptoms (
	herb TEXT NOT NULL CHECK (length(herb) BETWEEN 1 AND 64),
	symptom TEXT NOT NULL CHECK (length(symptom) BETWEEN 1 AND 64),
	strength REAL NOT NULL CHECK (strength BETWEEN 0 AND 1),
	PRIMARY KEY (herb, symptom)
) STRICT, WITHOUT ROWID;

-- The last result of each recommendation that has had feedback. `due`: from when on it may be another one, by feedback
-- that came (0) or since a record gets too old to count; NULL: never by itself. Without a result cases is NULL.
CREATE TABLE metrics (
	recommendation INTEGER PRIMARY KEY REFERENCES recommendations,
	due INTEGER,
	version INTEGER NOT NULL DEFAULT 0, -- counts the results that were pushed
	effectiveness REAL,
	confidence REAL,
	cases INTEGER,
	trend TEXT,
	average_rating REAL,
	computed INTEGER
) STRICT;
CREATE INDEX metrics_due ON metrics (due) WHERE due IS NOT NULL;
CREATE INDEX metrics_by_effectiveness ON metrics (effectiveness, recommendation) WHERE cases IS NOT NULL;
CREATE INDEX metrics_improving ON metrics (effectiveness, recommendation) WHERE trend = 'improving';

-- Who of which mizaj has said what of a herb, summed up for each patient: whom a prediction looks at.
CREATE TABLE cohort (
	herb TEXT NOT NULL,
	mizaj TEXT NOT NULL,
	patient INTEGER NOT NULL,
	cases INTEGER NOT NULL, -- feedback of the patient on this herb,
	good INTEGER NOT NULL,  -- of it with a rating of 3 or more
	last INTEGER NOT NULL,  -- when the newest of it was given
	PRIMARY KEY (herb, mizaj, patient)
) STRICT, WITHOUT ROWID;
CREATE INDEX cohort_newest ON cohort (herb, mizaj, last);

-- Whole answers, for 24 h or until feedback comes.
CREATE TABLE predictions (
	diagnosis TEXT NOT NULL REFERENCES diagnoses,
	optimization TEXT NOT NULL,
	made INTEGER NOT NULL,
	answer TEXT NOT NULL,
	PRIMARY KEY (diagnosis, optimization)
) STRICT, WITHOUT ROWID;

-- The ranking that those who watch were told last.
CREATE TABLE rankings (
	diagnosis TEXT PRIMARY KEY REFERENCES diagnoses,
	version INTEGER NOT NULL,
	ranking TEXT NOT NULL -- a JSON array
) STRICT, WITHOUT ROWID;

-- What was predicted first, before the feedback that it is held against.
CREATE TABLE forecasts (
	recommendation INTEGER PRIMARY KEY REFERENCES recommendations,
	predicted REAL NOT NULL,
	made INTEGER NOT NULL
) STRICT;

-- What is to be pushed, in this order. `refused`: why the hub will never take it; it is kept to be looked at.
CREATE TABLE outbox (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	diagnosis TEXT NOT NULL,
	type TEXT NOT NULL,
	message TEXT NOT NULL UNIQUE, -- the message's own id: tag, record and version
	data TEXT NOT NULL,
	created INTEGER NOT NULL,
	refused TEXT
) STRICT;
CREATE INDEX outbox_waiting ON outbox (id) WHERE refused IS NULL;

-- Whatever changes feedback makes its recommendation due, and counts for those who are alike.
CREATE TRIGGER feedback_came AFTER INSERT ON feedback BEGIN
	INSERT INTO metrics (recommendation, due) VALUES (new.recommendation, 0)
		ON CONFLICT (recommendation) DO UPDATE SET due = 0;
	INSERT INTO cohort (herb, mizaj, patient, cases, good, last)
		SELECT r.herb, p.mizaj, p.id, 1, new.rating >= 3, new.created
		FROM recommendations r, patients p
		WHERE r.id = new.recommendation AND p.id = new.patient AND p.mizaj IS NOT NULL
		ON CONFLICT (herb, mizaj, patient) DO UPDATE
			SET cases = cases + 1, good = good + excluded.good, last = max(last, excluded.last);
END;
CREATE TRIGGER feedback_changed AFTER UPDATE OF rating, symptom_improvement, created ON feedback BEGIN
	UPDATE metrics SET due = 0 WHERE recommendation = new.recommendation;
	UPDATE cohort SET good = good + (new.rating >= 3) - (old.rating >= 3),
			last = CASE WHEN new.created >= last THEN new.created WHEN old.created < last THEN last ELSE (
				SELECT max(f.created) FROM feedback f JOIN recommendations r ON r.id = f.recommendation
				WHERE f.patient = new.patient AND r.herb = cohort.herb) END
		WHERE herb = (SELECT herb FROM recommendations WHERE id = new.recommendation)
			AND mizaj = (SELECT mizaj FROM patients WHERE id = new.patient) AND patient = new.patient;
END;
CREATE TRIGGER mizaj_changed AFTER UPDATE OF mizaj ON patients WHEN old.mizaj IS NOT new.mizaj BEGIN
	DELETE FROM cohort WHERE mizaj = old.mizaj AND patient = old.id
		AND herb IN (SELECT r.herb FROM feedback f JOIN recommendations r ON r.id = f.recommendation WHERE f.patient = old.id);
	INSERT INTO cohort (herb, mizaj, patient, cases, good, last)
		SELECT r.herb, new.mizaj, new.id, count(*), sum(f.rating >= 3), max(f.created)
		FROM feedback f JOIN recommendations r ON r.id = f.recommendation
		WHERE f.patient = new.id AND new.mizaj IS NOT NULL GROUP BY r.herb;
END;
-- What was predicted of a recommendation that was another one then.
CREATE TRIGGER recommendation_changed AFTER UPDATE OF diagnosis, herb ON recommendations
WHEN old.diagnosis <> new.diagnosis OR old.herb <> new.herb BEGIN
	DELETE FROM forecasts WHERE recommendation = new.id;
END;
