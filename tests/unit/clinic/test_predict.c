/* links: cmd/diagws-clinic/work/predict.c cmd/diagws-clinic/work/predict_past.c cmd/diagws-clinic/work/predict_one.c */
/* links: cmd/diagws-clinic/work/prediction.c cmd/diagws-clinic/work/rank.c cmd/diagws-clinic/work/analytics.c */
/* links: cmd/diagws-clinic/work/feedback.c cmd/diagws-clinic/work/effect.c cmd/diagws-clinic/work/outbox.c */
/* links: cmd/diagws-clinic/work/answer.c cmd/diagws-clinic/work/call.c cmd/diagws-clinic/work/fields.c */
/* links: cmd/diagws-clinic/model/effectiveness.c cmd/diagws-clinic/model/score.c */
/* links: cmd/diagws-clinic/sql/db.c gen/clinic_sql.c lib/json/json.c lib/json/json_plain.c lib/message/msg.c */
/* links: lib/base/buf.c lib/base/err.c lib/base/clock.c lib/base/utf8.c */
/* libs: sqlite3 jansson libcrypto */
/* Predictions on a real file: answers to the letter, worked by hand; who counts as alike; what is kept, and for how
 * long; and forecasts held against what came of them. */
#include <math.h>

#include "predict_kit.h"

#define MAYBE                                                                                             \
	"\"reasoning\":{\"en\":\"May help: what is known of it is little, or speaks for it and against it\"," \
	"\"fa\":\"شاید مؤثر باشد: شواهد اندک است یا یکدست نیست\"}"
#define WELL                                                                                              \
	"\"reasoning\":{\"en\":\"Expected to help: more that is known of it speaks for it than against it\"," \
	"\"fa\":\"انتظار می‌رود مؤثر باشد: بیشتر شواهد به سود آن است\"}"
#define NOTHING_YET                                                                                                   \
	"\"evidence_source\":\"symptoms\",\"similar_patient_count\":0,\"sample_size\":0,\"historical\":0.5,\"cohort\":0." \
	"5,"                                                                                                              \
	"\"symptom_match\":0.7,\"average_improvement\":3,\"expected_duration_days\":28}"

static void
test_answer(void)
{
	/* 12: 4 of 5 successes, improvement 4+4+4+3+1 = 16 / 5; two of them are of Ann's mizaj: 1 of 2 good.
	 * 0.4 * 0.8 + 0.35 * 0.5 + 0.25 * 0.7 = 0.67; 0.5 * 0.2 + 0.5 * (1 - 0.3 * 0.3) = 0.555.
	 * 11: 0.2 + 0.175 + 0.25 * 0.75 = 0.5625. 13: 0.55, where nothing is known.
	 * Mean confidence: (0.555 + 0.5 + 0.5) / 3 = 0.51833… */
	add_patients(100, 2, "warm");
	add_patients(110, 3, "cold");
	say(100, 12, 5, 4, 100);
	say(101, 12, 2, 1, 100);
	say(110, 12, 3, 4, 100);
	say(111, 12, 4, 4, 100);
	say(112, 12, 4, 3, 90 * DAY);
	assert_string_equal(
		"{\"success\":true,\"made\":\"2027-01-15T08:00:00Z\",\"cached\":false,\"diagnosis_id\":101,\"condition\":"
		"\"میگرن\","
		"\"optimization\":\"balanced\",\"model_version\":\"1.0\",\"overall_confidence\":0.518,\"sample_size\":5,"
		"\"predictions\":["
		"{\"recommendation_id\":12,\"herb_name\":\"mint\",\"dosage\":\"\",\"frequency\":\"\",\"duration\":\"\","
		"\"predicted_effectiveness\":0.67,\"confidence\":0.555," WELL ",\"evidence_source\":\"historical\","
		"\"similar_patient_count\":2,\"sample_size\":5,\"historical\":0.8,\"cohort\":0.5,\"symptom_match\":0.7,"
		"\"average_improvement\":3.2,\"expected_duration_days\":28},"
		"{\"recommendation_id\":11,\"herb_name\":\"chamomile\",\"dosage\":\"5 g\",\"frequency\":\"daily\",\"duration\":"
		"\"4 weeks\",\"predicted_effectiveness\":0.563,\"confidence\":0.5," MAYBE ",\"evidence_source\":\"symptoms\","
		"\"similar_patient_count\":0,\"sample_size\":0,\"historical\":0.5,\"cohort\":0.5,\"symptom_match\":0.75,"
		"\"average_improvement\":3,\"expected_duration_days\":28},"
		"{\"recommendation_id\":13,\"herb_name\":\"بابونه\",\"dosage\":\"\",\"frequency\":\"\",\"duration\":\"\","
		"\"predicted_effectiveness\":0.55,\"confidence\":0.5," MAYBE "," NOTHING_YET
		"],\"note\":\"a rule of thumb, not medical advice\"}",
		predict("101"));

	order.optimization = DW_STR("conservative");
	(void)predict("101");
	ASSERT_AT("0.57", "$.predictions[0].predicted_effectiveness"); /* 0.67 * 0.85 = 0.5695 */
	order.optimization = DW_STR("aggressive");
	(void)predict("101");
	ASSERT_AT("0.771", "$.predictions[0].predicted_effectiveness"); /* 0.7705 */
	ASSERT_AT("aggressive", "$.optimization");

	(void)predict("cold"); /* without a recommendation */
	ASSERT_AT("[]", "$.predictions");
	ASSERT_AT("null", "$.overall_confidence");
	ASSERT_AT("0", "$.sample_size");
}

static void
test_refused(void)
{
	static clinic_call *const of_diagnosis[] = { predict_diagnosis, predict_optimize, predict_evolution,
		predict_accuracy };

	for (size_t i = 0; i < sizeof(of_diagnosis) / sizeof(of_diagnosis[0]); i++) {
		order.diagnosis = DW_STR("nobody's");
		kit_refused(of_diagnosis[i], DW_E_UNKNOWN, "diagnosis_id", "there is no diagnosis 'nobody's'");
		kit_refused(of_diagnosis[i], DW_E_UNKNOWN, "diagnosis_id", "there is no diagnosis ''");
	}
	order.diagnosis = DW_STR("101");
	order.optimization = DW_STR("bold");
	kit_refused(predict_diagnosis, DW_E_FIELD, "optimization", "field 'optimization': 'bold' is none of them");
	order.patient = 3;
	kit_refused(predict_profile, DW_E_UNKNOWN, "patient", "there is no patient 3");
	order.recommendation = 14;
	kit_refused(predict_stats, DW_E_UNKNOWN, "recommendation_id", "there is no recommendation 14");
	ASSERT_READ("0|0|0", "SELECT (SELECT count(*) FROM predictions), (SELECT count(*) FROM rankings), "
						 "(SELECT count(*) FROM forecasts)");
}

/* ---- who is alike ---- */

static void
stats(void)
{
	order.recommendation = 11;
	(void)kit_answer(predict_stats);
}

static void
test_cohort(void)
{
	/* 21 others of Ann's mizaj, of whom the one whose feedback is oldest does not count; of the 20, 5 were not content.
	 */
	add_patients(100, 21, "warm");
	add_patients(200, 2, "cold");
	for (int i = 0; i < 21; i++)
		say(100 + i, 11, i >= 1 && i <= 5 ? 2 : 3, 3, 1000 - i);
	say(1, 11, 1, 1, 1); /* Ann's own, and others' */
	say(200, 11, 1, 1, 1);
	say(201, 11, 1, 1, 1);
	say(2, 11, 1, 1, 1);
	stats();
	ASSERT_AT("0.75", "$.cohort");
	ASSERT_AT("20", "$.similar_patient_count");
	ASSERT_AT("25", "$.sample_size");
	ASSERT_AT("0.64", "$.historical"); /* 16 of 25 */

	/* What the others say of the same herb elsewhere counts, and makes them newer: now 100 is of the 20, with 1 of 2,
	 * and 101 is not, which had 0 of 1: 16 of 21. */
	kit_sql("INSERT INTO recommendations (id, diagnosis, herb) VALUES (22, 'd-2', 'chamomile')");
	say(100, 22, 1, 5, 0);
	stats();
	ASSERT_AT("0.762", "$.cohort");
	ASSERT_AT("20", "$.similar_patient_count");

	kit_sql("UPDATE feedback SET created = created - 2000 WHERE patient = 100"); /* an import may do so */
	stats();
	ASSERT_AT("0.75", "$.cohort");

	kit_sql("UPDATE patients SET mizaj = NULL WHERE id = 1"); /* nobody is like her */
	stats();
	ASSERT_AT("0.5", "$.cohort");
	ASSERT_AT("0", "$.similar_patient_count");
	kit_sql("UPDATE patients SET mizaj = 'cold' WHERE id = 1");
	stats();
	ASSERT_AT("0", "$.cohort");
	ASSERT_AT("2", "$.similar_patient_count");
}

static void
test_stats(void)
{
	order.recommendation = 11;
	ASSERT_ANSWER("{\"success\":true,\"recommendation_id\":11,\"herb_name\":\"chamomile\",\"diagnosis_id\":101,"
				  "\"model_version\":\"1.0\",\"forecast\":null,\"predicted_effectiveness\":0.563,\"confidence\":0.5,"
				  "\"historical\":0.5,\"cohort\":0.5,"
				  "\"symptom_match\":0.75,\"similar_patient_count\":0,\"sample_size\":0}",
		predict_stats);
	(void)predict("101");
	order.recommendation = 11;
	(void)kit_answer(predict_stats);
	ASSERT_AT("{\"predicted\":0.563,\"made\":\"2027-01-15T08:00:00Z\"}", "$.forecast");
	kit_sql("UPDATE recommendations SET herb = herb, dosage = '6 g' WHERE id = 11");
	stats();
	ASSERT_AT("0.563", "$.forecast.predicted");
	kit_sql("UPDATE recommendations SET herb = 'mint' WHERE id = 11"); /* what was predicted was another one */
	stats();
	ASSERT_AT("null", "$.forecast");
}

/* ---- what is kept ---- */

static bool
cached(const char *diagnosis, int64_t now, const char *optimization)
{
	bool kept;

	order.now = now;
	order.optimization = dw_str(optimization);
	(void)predict(diagnosis);
	kept = strcmp(at("$.cached"), "1") == 0;
	order.now = NOW;
	return kept;
}

static void
test_cache(void)
{
	struct dw_buf first = { 0 };

	assert_false(cached("101", NOW, "balanced"));
	dw_buf_adds(&first, strstr(answer.data, "\"diagnosis_id\""));
	assert_false(cached("101", NOW, "aggressive"));
	assert_true(cached("101", NOW + DAY - 1, ""));
	assert_string_equal(first.data, strstr(answer.data, "\"diagnosis_id\""));
	ASSERT_AT("2027-01-15T08:00:00Z", "$.made");
	assert_false(cached("101", NOW - 1, "balanced")); /* it is of the future then */
	assert_true(cached("101", NOW, "balanced"));
	assert_false(cached("101", NOW + DAY - 1, "balanced")); /* 24 h later */
	ASSERT_AT("2027-01-16T07:59:59Z", "$.made");

	/* Feedback on one of its recommendations, by its patient on another's, and what does not matter. */
	assert_false(cached("101", NOW, "balanced"));
	submit("{\"diagnosis_id\":\"d-2\",\"recommendation_id\":12,\"rating\":4,\"symptom_improvement\":4}");
	assert_false(cached("101", NOW, "balanced"));
	assert_false(cached("101", NOW, "aggressive"));
	submit("{\"diagnosis_id\":\"101\",\"recommendation_id\":21,\"rating\":4,\"symptom_improvement\":4}");
	assert_false(cached("101", NOW, "balanced"));
	submit("{\"diagnosis_id\":\"d-2\",\"recommendation_id\":21,\"rating\":4,\"symptom_improvement\":4}");
	assert_true(cached("101", NOW, "balanced"));
	dw_buf_clear(&first);
}

/* A ranking and all else that a call changes are of one commit. */
static void
test_undone(void)
{
	(void)predict("101");
	say(2, 12, 5, 5, 10);
	kit_sql("DELETE FROM predictions; DELETE FROM forecasts;"
			"CREATE TRIGGER full BEFORE INSERT ON predictions BEGIN SELECT RAISE(ABORT, 'full'); END");
	order.diagnosis = DW_STR("101");
	assert_int_not_equal(DW_OK, kit_call(predict_diagnosis));
	assert_string_equal("", answer.data);
	ASSERT_READ("0|1|0",
		"SELECT (SELECT count(*) FROM outbox), (SELECT version FROM rankings), (SELECT count(*) FROM forecasts)");
	kit_sql("DROP TRIGGER full");
	order.dry = true;
	(void)predict("101");
	ASSERT_READ("0|1|0",
		"SELECT (SELECT count(*) FROM outbox), (SELECT version FROM rankings), (SELECT count(*) FROM forecasts)");
	(void)predict("101");
	ASSERT_READ("1|2|3",
		"SELECT (SELECT count(*) FROM outbox), (SELECT version FROM rankings), (SELECT count(*) FROM forecasts)");
}

/* ---- looking back ---- */

static void
test_accuracy(void)
{
	order.now = NOW - 100;
	(void)predict("101"); /* 0.563, 0.55, 0.55 */
	order.now = NOW;
	order.diagnosis = DW_STR("101");
	ASSERT_ANSWER(
		"{\"success\":true,\"diagnosis_id\":101,\"model_version\":\"1.0\",\"accuracy\":null,\"recommendations\":[]}",
		predict_accuracy);

	add_patients(100, 4, "cold");
	say(100, 11, 1, 1, 100); /* at that very second: not after it */
	say(101, 11, 5, 5, 99);
	say(102, 11, 3, 3, 50);
	say(103, 11, 5, 2, 0);
	say(1, 11, 5, 5, -1); /* not yet */
	say(101, 12, 4, 4, 99);
	order.optimization = DW_STR("aggressive"); /* which is not kept yet: a second forecast, that changes nothing */
	(void)predict("101");
	/* 11: 2 / 3 = 0.667, 0.104 off; 12: 1 / 1, 0.45 off; 13: nothing came. 1 - (0.104 + 0.45) / 2 = 0.723 */
	order.diagnosis = DW_STR("101");
	ASSERT_ANSWER(
		"{\"success\":true,\"diagnosis_id\":101,\"model_version\":\"1.0\",\"accuracy\":0.723,\"recommendations\":["
		"{\"recommendation_id\":11,\"herb_name\":\"chamomile\",\"predicted\":0.563,\"actual\":0.667,\"error\":0.104,"
		"\"sample_size\":3,\"made\":\"2027-01-15T07:58:20Z\"},"
		"{\"recommendation_id\":12,\"herb_name\":\"mint\",\"predicted\":0.55,\"actual\":1,\"error\":0.45,"
		"\"sample_size\":1,\"made\":\"2027-01-15T07:58:20Z\"}]}",
		predict_accuracy);
}

static void
test_evolution(void)
{
	/* Days are told by where they stand: 29 is today, 27 the day before yesterday. */
	add_patients(100, 3, "cold");
	say(100, 11, 5, 5, 95 * DAY); /* until 5 days ago it was of 90 days */
	say(101, 11, 5, 5, 40 * DAY);
	say(102, 11, 1, 5, 2 * DAY);
	say(100, 12, 1, 1, 2 * DAY - 1); /* a second too late for that day */
	order.diagnosis = DW_STR("101");
	(void)kit_answer(predict_evolution);
	ASSERT_AT("{\"date\":\"2026-12-17\",\"effectiveness\":1,\"sample_size\":2}", "$.days[0]");
	ASSERT_AT("{\"date\":\"2027-01-10\",\"effectiveness\":1,\"sample_size\":2}", "$.days[24]"); /* exactly 90 days */
	ASSERT_AT("{\"date\":\"2027-01-11\",\"effectiveness\":1,\"sample_size\":1}", "$.days[25]");
	ASSERT_AT("{\"date\":\"2027-01-13\",\"effectiveness\":0.5,\"sample_size\":2}", "$.days[27]");
	ASSERT_AT("{\"date\":\"2027-01-14\",\"effectiveness\":0.333,\"sample_size\":3}", "$.days[28]");
	ASSERT_AT("{\"date\":\"2027-01-15\",\"effectiveness\":0.333,\"sample_size\":3}", "$.days[29]");
	ASSERT_AT("null", "$.days[30]");
	ASSERT_AT("chamomile", "$.recommendations[0].herb_name");
	ASSERT_AT("1", "$.recommendations[0].effectiveness[26]");
	ASSERT_AT("0.5", "$.recommendations[0].effectiveness[27]");
	ASSERT_AT("0", "$.recommendations[1].effectiveness[28]");
	ASSERT_AT("[null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,"
			  "null,null,null,null,null,null,null,null,0,0]",
		"$.recommendations[1].effectiveness");
	ASSERT_AT("13", "$.recommendations[2].recommendation_id");

	order.diagnosis = DW_STR("cold");
	(void)kit_answer(predict_evolution);
	ASSERT_AT("{\"date\":\"2027-01-15\",\"effectiveness\":null,\"sample_size\":0}", "$.days[29]");
	ASSERT_AT("[]", "$.recommendations");
}

static void
test_profile(void)
{
	order.patient = 2;
	ASSERT_ANSWER("{\"success\":true,\"patient\":2,\"name\":\"Bob\",\"mizaj\":null,\"age\":null,\"diagnoses\":["
				  "{\"diagnosis_id\":\"d-2\",\"condition\":\"میگرن\"}],\"feedback\":0,\"average_rating\":null,"
				  "\"average_improvement\":null,\"average_compliance\":null,\"herbs\":[]}",
		predict_profile);
	say(1, 11, 3, 4, 5);
	say(1, 12, 5, 5, 5);
	say(1, 13, 1, 1, 5);
	say(1, 21, 2, 3, 500 * DAY);
	kit_sql("UPDATE feedback SET compliance = 4 WHERE recommendation IN (11, 12);"
			"UPDATE feedback SET compliance = 3 WHERE recommendation = 13");
	/* Ratings 11 / 4, improvement 13 / 4, compliance 11 / 3; mint: 1 of 2 */
	order.patient = 1;
	ASSERT_ANSWER(
		"{\"success\":true,\"patient\":1,\"name\":\"Ann\",\"mizaj\":\"warm\",\"age\":40,\"diagnoses\":["
		"{\"diagnosis_id\":101,\"condition\":\"میگرن\"},{\"diagnosis_id\":\"cold\",\"condition\":\"cold\"}],"
		"\"feedback\":4,\"average_rating\":2.75,\"average_improvement\":3.25,\"average_compliance\":3.67,\"herbs\":["
		"{\"herb_name\":\"chamomile\",\"cases\":1,\"good\":1},{\"herb_name\":\"mint\",\"cases\":2,\"good\":1},"
		"{\"herb_name\":\"بابونه\",\"cases\":1,\"good\":0}]}",
		predict_profile);
	for (int i = 0; i < 10; i++) {
		kit_sql("INSERT INTO recommendations (id, diagnosis, herb) VALUES (%d, '101', 'herb %d')", 50 + i, i);
		say(1, 50 + i, 5, 5, 1);
	}
	order.patient = 1;
	(void)kit_answer(predict_profile);
	ASSERT_AT("chamomile", "$.herbs[0].herb_name");
	ASSERT_AT("herb 8", "$.herbs[9].herb_name");
	ASSERT_AT("null", "$.herbs[10]");
}

/* ---- the others ---- */

static void
check_optimize(double target, const char *optimization, const char *reached, const char *count)
{
	order.diagnosis = DW_STR("101");
	order.target = target;
	order.optimization = dw_str(optimization);
	(void)kit_answer(predict_optimize);
	ASSERT_AT(reached, "$.reached");
	kit_sql("CREATE TEMP TABLE IF NOT EXISTS answers (text TEXT); DELETE FROM answers");
	assert_int_equal(DW_OK, db_run(db, &fault, "INSERT INTO answers VALUES (?1)", "s", answer.data));
	ASSERT_READ(count, "SELECT json_array_length(text, '$.predictions') FROM answers");
	ASSERT_AT("11", "$.predictions[0].recommendation_id");
}

static void
test_optimize(void)
{
	kit_sql("INSERT INTO recommendations (id, diagnosis, herb) VALUES (14, '101', 'sage')");
	check_optimize(0, "", "0", "3"); /* none of 0.563, 0.55, 0.55, 0.55 is 0.6 */
	ASSERT_AT("0.75", "$.target");
	ASSERT_AT("12", "$.predictions[1].recommendation_id");
	ASSERT_AT("13", "$.predictions[2].recommendation_id");
	check_optimize(0.703, "", "1", "1");          /* from 0.5624 on */
	check_optimize(0.6875, "", "1", "1");         /* 0.688: from 0.5504 on */
	check_optimize(0.6874, "", "1", "4");         /* 0.687: from 0.5496 on */
	check_optimize(0.75, "aggressive", "1", "4"); /* 0.647, 0.633 */
	check_optimize(0.75, "conservative", "0", "3");
	check_optimize(1, "", "0", "3");
	order.target = 1.001;
	kit_refused(predict_optimize, DW_E_FIELD, "target", "field 'target': 1.001 is not within 0..1");
	order.target = -0.5;
	kit_refused(predict_optimize, DW_E_FIELD, "target", "field 'target': -0.5 is not within 0..1");
	order.target = NAN;
	kit_refused(predict_optimize, DW_E_FIELD, "target", "field 'target': nan is not within 0..1");
	ASSERT_READ(
		"0|0", "SELECT (SELECT count(*) FROM predictions), (SELECT count(*) FROM rankings)"); /* it only reads */
}

static void
test_batch(void)
{
	order.body = DW_STR("{\"diagnosis_ids\":[101,\"none\",\"d-2\",1.5,\"101\"]}");
	order.optimization = DW_STR("conservative");
	(void)kit_answer(predict_batch);
	ASSERT_AT("3", "$.accepted");
	ASSERT_AT("2", "$.rejected");
	ASSERT_AT("conservative", "$.results[0].optimization");
	ASSERT_AT("0.478", "$.results[0].predictions[0].predicted_effectiveness"); /* 0.5625 * 0.85 = 0.478125 */
	ASSERT_AT("{\"code\":\"unknown\",\"message\":\"there is no diagnosis 'none'\",\"field\":\"diagnosis_id\"}",
		"$.results[1].error");
	ASSERT_AT("d-2", "$.results[2].diagnosis_id");
	ASSERT_AT("invalid_field", "$.results[3].error.code");
	ASSERT_AT("1", "$.results[4].cached");
}

static void
test_version(void)
{
	ASSERT_ANSWER("{\"success\":true,\"model_version\":\"1.0\",\"weights\":{\"historical\":0.4,\"cohort\":0.35,"
				  "\"symptom_match\":0.25},\"factors\":{\"conservative\":0.85,\"balanced\":1,\"aggressive\":1.15}}",
		predict_version);
}

int
main(void)
{
	static const struct plain_test tests[] = {
		TEST(test_answer),
		TEST(test_refused),
		TEST(test_cohort),
		TEST(test_stats),
		TEST(test_cache),
		TEST(test_undone),
		TEST(test_accuracy),
		TEST(test_evolution),
		TEST(test_profile),
		TEST(test_optimize),
		TEST(test_batch),
		TEST(test_version),
	};

	return run_plain_tests(tests, sizeof(tests) / sizeof(tests[0]), set_up, kit_close);
}
