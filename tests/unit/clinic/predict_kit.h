/* What the tests of predictions and rankings share: a small clinic, and words to fill it with.
 */
#ifndef PREDICT_KIT_H
#define PREDICT_KIT_H

#include "clinic_kit.h"

/* A patient with a diagnosis and three recommendations: 11 with two symptoms of the table (mean 0.75), 12 and 13
 * without. */
static inline int
set_up(void **state)
{
	assert_int_equal(0, kit_open(state));
	kit_sql("INSERT INTO patients (id, name, mizaj, age) VALUES (1, 'Ann', 'warm', 40), (2, 'Bob', NULL, NULL);"
			"INSERT INTO diagnoses VALUES ('101', 1, 'میگرن', '[\"headache\",\"تهوع\",\"fever\"]', %d),"
			"  ('d-2', 2, 'میگرن', '[]', %d), ('cold', 1, 'cold', '[\"fever\"]', %d);"
			"INSERT INTO recommendations (id, diagnosis, herb, dosage, frequency, duration) VALUES"
			"  (11, '101', 'chamomile', '5 g', 'daily', '4 weeks'), (12, '101', 'mint', '', '', ''),"
			"  (13, '101', 'بابونه', '', '', ''), (21, 'd-2', 'mint', '', '', '');"
			"INSERT INTO herb_symptoms VALUES ('chamomile', 'headache', 0.9), ('chamomile', 'تهوع', 0.6),"
			"  ('chamomile', 'cough', 0.1), ('بابونه', 'cough', 0.2)",
		NOW - 90 * DAY, NOW - 90 * DAY, NOW - 90 * DAY - 1);
	return 0;
}

/* Feedback of a patient, with rating and improvement, so many seconds before NOW. */
static inline void
say(int patient, int recommendation, int rating, int improvement, int ago)
{
	kit_sql("INSERT INTO feedback (patient, recommendation, diagnosis, rating, symptom_improvement, created, updated)"
			"VALUES (%d, %d, '101', %d, %d, %d, %d)",
		patient, recommendation, rating, improvement, NOW - ago, NOW - ago);
}

static inline void
add_patients(int first, int count, const char *mizaj)
{
	for (int i = 0; i < count; i++)
		kit_sql("INSERT INTO patients (id, name, mizaj) VALUES (%d, 'x', '%s')", first + i, mizaj);
}

static inline const char *
predict(const char *diagnosis)
{
	order.diagnosis = dw_str(diagnosis);
	return kit_answer(predict_diagnosis);
}

/* What an answer holds at a path. */
static inline const char *
at(const char *path)
{
	static char found[2048];
	sqlite3_stmt *row;

	assert_int_equal(
		SQLITE_OK, sqlite3_prepare_v2(db_handle(db), "SELECT ifnull(json_extract(?1, ?2), 'null')", -1, &row, NULL));
	(void)sqlite3_bind_text(row, 1, answer.data, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(row, 2, path, -1, SQLITE_STATIC);
	assert_int_equal(SQLITE_ROW, sqlite3_step(row));
	assert_true(dw_str_copy(db_text(row, 0), found, sizeof(found)));
	(void)sqlite3_finalize(row);
	return found;
}

#define ASSERT_AT(want, path) assert_string_equal(want, at(path))

static inline void
submit(const char *body)
{
	order.body = dw_str(body);
	(void)kit_answer(feedback_submit);
}

#endif
