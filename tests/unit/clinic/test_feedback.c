/* links: cmd/diagws-clinic/work/feedback.c cmd/diagws-clinic/work/feedback_read.c cmd/diagws-clinic/work/analytics.c */
/* links: cmd/diagws-clinic/work/effect.c cmd/diagws-clinic/work/outbox.c cmd/diagws-clinic/work/call.c */
/* links: cmd/diagws-clinic/work/fields.c cmd/diagws-clinic/work/answer.c cmd/diagws-clinic/sql/db.c gen/clinic_sql.c */
/* links: cmd/diagws-clinic/model/effectiveness.c cmd/diagws-clinic/model/rating.c */
/* links: lib/message/msg.c lib/json/json.c lib/json/json_plain.c lib/base/buf.c lib/base/clock.c lib/base/err.c */
/* links: lib/base/utf8.c cmd/diagws-clinic/work/diagnoses.c */
/* libs: sqlite3 jansson libcrypto */
/* Feedback: what is stored and pushed, what is refused and why, what it adds up to. The ranking is the test's own. */
#include "clinic_kit.h"

static int rank_fails;

/* Stands for the real one in the outbox. */
int
rank_diagnosis(struct db *of, struct dw_str diagnosis, int64_t now, struct dw_fault *why)
{
	struct dw_buf data = { 0 };
	static int turn;
	char message[32];
	int err;

	(void)snprintf(message, sizeof(message), "ranking.%d", turn++);
	dw_buf_adds(&data, "{}");
	err = outbox_add(of, diagnosis, "recommendation_update", message, &data, now, why);
	dw_buf_clear(&data);
	return rank_fails != DW_OK ? rank_fails : err;
}

/* Patients 1 to 9 with a diagnosis each, 101 to 109: 103 of anxiety, the others of insomnia. Recommendations 1 and 2
 * belong to 101, 3 to 103. */
static int
set_up(void **state)
{
	rank_fails = DW_OK;
	if (kit_open(state) != 0)
		return -1;
	for (int i = 1; i <= 9; i++)
		kit_sql("INSERT INTO patients VALUES (%d, 'P%d', 'گرم', 40);"
				"INSERT INTO diagnoses VALUES (10%d, %d, '%s', '[]', 0)",
			i, i, i, i, i == 3 ? "anxiety" : "insomnia");
	kit_sql("INSERT INTO recommendations (id, diagnosis, herb) VALUES (1, 101, 'Valerian'), (2, 101, 'گل گاوزبان'),"
			"(3, 103, 'Lavender')");
	return 0;
}

static void
submit(int patient, int recommendation, int rating, int improvement)
{
	static char body[200];

	(void)snprintf(body, sizeof(body),
		"{\"diagnosis_id\":10%d,\"recommendation_id\":%d,\"rating\":%d,\"symptom_improvement\":%d}", patient,
		recommendation, rating, improvement);
	order.body = dw_str(body);
	(void)kit_answer(feedback_submit);
}

static const char OUTBOX[] = "SELECT diagnosis, type, substr(message, 14), data FROM outbox ORDER BY id";

static void
test_submit(void)
{
	kit_sql("INSERT INTO predictions VALUES (101, 'balanced', 1, '{}'), (102, 'balanced', 1, '{}')");
	order.body = DW_STR("{\"diagnosis_id\":\"101\",\"recommendation_id\":2,\"rating\":5,\"symptom_improvement\":4,"
						"\"compliance\":3,\"side_effects\":\"\",\"comment\":\"خوب \\\"بود\\\"\"}");
	ASSERT_ANSWER("{\"success\":true,\"feedback_id\":1,\"diagnosis_id\":101,\"recommendation_id\":2,\"updated\":false,"
				  "\"version\":1,\"effectiveness\":0.8,\"analytics\":false,\"message\":\"the feedback is stored\"}",
		feedback_submit);
	ASSERT_READ("1|1|2|101|5|4|3|-|خوب \"بود\"|1800000000|1800000000|1",
		"SELECT id, patient, recommendation, diagnosis,"
		"rating, symptom_improvement, compliance,"
		"side_effects, comment, created, updated, version "
		"FROM feedback");
	ASSERT_READ("101|feedback_update|feedback.1.1|{\"feedback_id\":1,\"rating\":5,\"effectiveness\":0.8,"
				"\"recommendation_id\":2,\"symptom_improvement\":4,\"compliance\":3,\"herb_name\":\"گل گاوزبان\","
				"\"comment\":\"خوب \\\"بود\\\"\"}",
		OUTBOX);
	ASSERT_READ("102", "SELECT diagnosis FROM predictions");
	ASSERT_READ("1", "SELECT count(*) FROM outbox, clinic WHERE message = tag || '.feedback.1.1'");
}

/* Whoever gives it and those who watch the recommendation's diagnosis hear of it; his words stay with him. */
static void
test_recommendation_of_another(void)
{
	order.body = DW_STR("{\"diagnosis_id\":102,\"recommendation_id\":1,\"rating\":1,\"symptom_improvement\":1,"
						"\"side_effects\":\"nausea\",\"comment\":\"mine\"}");
	(void)kit_answer(feedback_submit);
	ASSERT_READ("102|feedback_update|feedback.1.1|{\"feedback_id\":1,\"rating\":1,\"effectiveness\":0.2,"
				"\"recommendation_id\":1,\"symptom_improvement\":1,\"herb_name\":\"Valerian\",\"comment\":\"mine\"}\n"
				"101|feedback_update|feedback.1.1.r|{\"feedback_id\":1,\"rating\":1,\"effectiveness\":0.2,"
				"\"recommendation_id\":1,\"symptom_improvement\":1,\"herb_name\":\"Valerian\"}",
		OUTBOX);
}

/* The feedback, its effect, the ranking: in this order, in one commit. */
static void
test_second_changes_the_first(void)
{
	submit(1, 1, 5, 5);
	order.now = NOW + 10;
	order.body = DW_STR("{\"diagnosis_id\":101,\"recommendation_id\":1,\"rating\":2,\"symptom_improvement\":3}");
	ASSERT_ANSWER("{\"success\":true,\"feedback_id\":1,\"diagnosis_id\":101,\"recommendation_id\":1,\"updated\":true,"
				  "\"version\":2,\"effectiveness\":0.6,\"analytics\":true,\"message\":\"the feedback is changed\"}",
		feedback_submit);
	ASSERT_READ("1|2|3|1800000000|1800000010|2",
		"SELECT id, rating, symptom_improvement, created, updated, version FROM feedback");
	ASSERT_READ("feedback_update|feedback.1.1\nfeedback_update|feedback.1.2\n"
				"effectiveness_update|effectiveness.1.1\nrecommendation_update|ranking.0",
		"SELECT type, substr(message, 14) FROM outbox ORDER BY id");
}

static void
test_every_fifth_computes(void)
{
	for (int patient = 1; patient <= 9; patient++)
		if (patient != 3)
			submit(patient, 1, 4, patient == 1 ? 2 : 3);
	/* the fifth was that of patient 6: 4 successes of 5 */
	ASSERT_READ("{\"recommendation_id\":1,\"herb_name\":\"Valerian\",\"old_effectiveness\":null,"
				"\"new_effectiveness\":0.8,\"confidence\":0.525,\"sample_size\":5,\"trend\":\"stable\","
				"\"improvement\":null,\"average_rating\":4}",
		"SELECT data FROM outbox WHERE type = 'effectiveness_update'");
	ASSERT_READ("5|0.8", "SELECT cases, effectiveness FROM metrics");
}

static void
test_refused(void)
{
	static const struct {
		const char *body, *field, *message;
		int err;
	} cases[] = {
		{ "", "", "line 1, column 1: nothing there", DW_E_JSON },
		{ "[]", "", "[] is not an object", DW_E_FIELD },
		{ "{\"rating\":3,\"ratting\":4}", "ratting", "field 'ratting' is unknown", DW_E_FIELD },
		{ "{}", "diagnosis_id", "field 'diagnosis_id' is missing", DW_E_FIELD },
		{ "{\"diagnosis_id\":\"a b\"}", "diagnosis_id", "field 'diagnosis_id': \"a b\" is not a diagnosis id",
			DW_E_FIELD },
		{ "{\"diagnosis_id\":null}", "diagnosis_id", "field 'diagnosis_id': null is not a diagnosis id", DW_E_FIELD },
		{ "{\"diagnosis_id\":999,\"recommendation_id\":0}", "recommendation_id",
			"field 'recommendation_id': 0 is below 1", DW_E_FIELD },
		{ "{\"diagnosis_id\":999,\"recommendation_id\":1,\"rating\":0}", "rating",
			"field 'rating': 0 is not within 1..5", DW_E_FIELD },
		{ "{\"diagnosis_id\":999,\"recommendation_id\":1,\"rating\":6}", "rating",
			"field 'rating': 6 is not within 1..5", DW_E_FIELD },
		{ "{\"diagnosis_id\":999,\"recommendation_id\":1,\"rating\":4.5}", "rating",
			"field 'rating': 4.5 is not an integer", DW_E_FIELD },
		{ "{\"diagnosis_id\":999,\"recommendation_id\":1,\"rating\":\"5\"}", "rating",
			"field 'rating': \"5\" is not an integer", DW_E_FIELD },
		{ "{\"diagnosis_id\":999,\"recommendation_id\":1,\"rating\":1}", "symptom_improvement",
			"field 'symptom_improvement' is missing", DW_E_FIELD },
		{ "{\"diagnosis_id\":999,\"recommendation_id\":1,\"rating\":1,\"symptom_improvement\":1,\"compliance\":6}",
			"compliance", "field 'compliance': 6 is not within 1..5", DW_E_FIELD },
		{ "{\"diagnosis_id\":999,\"recommendation_id\":1,\"rating\":1,\"symptom_improvement\":1,\"comment\":1}",
			"comment", "field 'comment': 1 is not a string", DW_E_FIELD },
		{ "{\"diagnosis_id\":999,\"recommendation_id\":1,\"rating\":1,\"symptom_improvement\":1}", "diagnosis_id",
			"there is no diagnosis '999'", DW_E_UNKNOWN },
		{ "{\"diagnosis_id\":101,\"recommendation_id\":3,\"rating\":1,\"symptom_improvement\":1}", "recommendation_id",
			"field 'recommendation_id': 3 is not a recommendation for this diagnosis's condition", DW_E_FIELD },
		{ "{\"diagnosis_id\":101,\"recommendation_id\":4,\"rating\":1,\"symptom_improvement\":1}", "recommendation_id",
			"field 'recommendation_id': 4 is not a recommendation for this diagnosis's condition", DW_E_FIELD },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		order.body = dw_str(cases[i].body);
		kit_refused(feedback_submit, cases[i].err, cases[i].field, cases[i].message);
	}
	ASSERT_READ("0|0", "SELECT (SELECT count(*) FROM feedback), (SELECT count(*) FROM outbox)");
}

/* 500 characters are that many code points, whatever their bytes. */
static void
test_longest_texts(void)
{
	for (int points = 500; points <= 501; points++) {
		struct dw_buf body = { 0 };

		dw_buf_adds(&body, "{\"diagnosis_id\":101,\"recommendation_id\":1,\"rating\":1,\"symptom_improvement\":1,"
						   "\"side_effects\":\"");
		for (int i = 0; i < 500; i++)
			dw_buf_adds(&body, "س");
		dw_buf_adds(&body, "\",\"comment\":\"");
		for (int i = 0; i < points; i++)
			dw_buf_adds(&body, "گ");
		dw_buf_adds(&body, "\"}");
		order.body = dw_bytes(body.data, body.len);
		if (points == 500)
			(void)kit_answer(feedback_submit);
		else
			kit_refused(feedback_submit, DW_E_FIELD, "comment", "field 'comment': 501 characters are more than 500");
		dw_buf_clear(&body);
	}
	ASSERT_READ("500|500|1", "SELECT length(side_effects), length(comment), version FROM feedback");
}

static void
test_update(void)
{
	static const char RECORD[] =
		"SELECT rating, symptom_improvement, compliance, side_effects, comment, version FROM feedback";

	order.body = DW_STR("{\"diagnosis_id\":101,\"recommendation_id\":1,\"rating\":5,\"symptom_improvement\":4,"
						"\"compliance\":3,\"side_effects\":\"s\",\"comment\":\"c\"}");
	(void)kit_answer(feedback_submit);
	order.feedback = 1;
	order.body = DW_STR("{\"rating\":1}");
	ASSERT_ANSWER("{\"success\":true,\"feedback_id\":1,\"diagnosis_id\":101,\"recommendation_id\":1,\"updated\":true,"
				  "\"version\":2,\"effectiveness\":0.8,\"analytics\":true,\"message\":\"the feedback is changed\"}",
		feedback_update);
	ASSERT_READ("1|4|3|s|c|2", RECORD);
	order.feedback = 1;
	order.body = DW_STR("{\"symptom_improvement\":2,\"compliance\":null,\"side_effects\":\"\",\"comment\":null}");
	(void)kit_answer(feedback_update);
	ASSERT_READ("1|2|-|-|-|3", RECORD);
	order.feedback = 1;
	order.body = DW_STR("{}");
	kit_refused(feedback_update, DW_E_FIELD, "", "there is nothing to change");
	order.feedback = 1;
	order.body = DW_STR("{\"diagnosis_id\":102,\"rating\":1}");
	kit_refused(feedback_update, DW_E_FIELD, "diagnosis_id", "field 'diagnosis_id' is unknown");
	order.feedback = 2;
	order.body = DW_STR("{\"rating\":1}");
	kit_refused(feedback_update, DW_E_UNKNOWN, "feedback_id", "there is no feedback 2");
	ASSERT_READ("1|2|-|-|-|3", RECORD);
}

/* What failed last takes all back. */
static void
test_rolled_back(void)
{
	static const char BOTH[] = "{\"feedback\":[{\"diagnosis_id\":102,\"recommendation_id\":1,\"rating\":1,"
							   "\"symptom_improvement\":1},{\"diagnosis_id\":101,\"recommendation_id\":1,\"rating\":1,"
							   "\"symptom_improvement\":1}]}";

	submit(1, 1, 5, 5);
	rank_fails = DW_E_IO;
	order.body = DW_STR("{\"diagnosis_id\":101,\"recommendation_id\":1,\"rating\":1,\"symptom_improvement\":1}");
	kit_refused(feedback_submit, DW_E_IO, "", "");
	ASSERT_READ("5|1|0|-", "SELECT rating, f.version, due, cases FROM feedback f, metrics");
	order.body = dw_str(BOTH);
	kit_refused(feedback_submit_batch, DW_E_IO, "", "");
	ASSERT_READ("5|1", "SELECT rating, version FROM feedback");
	ASSERT_READ("feedback.1.1", "SELECT substr(message, 14) FROM outbox");
	/* what an entry that is refused has written goes, and the other stays */
	rank_fails = DW_E_UNKNOWN;
	order.body = dw_str(BOTH);
	assert_non_null(strstr(kit_answer(feedback_submit_batch), "],\"accepted\":1,\"rejected\":1}"));
	ASSERT_READ("1|5|1\n2|1|1", "SELECT id, rating, version FROM feedback");
	ASSERT_READ("feedback.1.1\nfeedback.2.1\nfeedback.2.1.r", "SELECT substr(message, 14) FROM outbox ORDER BY id");
}

static void
test_dry(void)
{
	submit(1, 1, 5, 5);
	order.dry = true;
	order.body = DW_STR("{\"diagnosis_id\":101,\"recommendation_id\":1,\"rating\":1,\"symptom_improvement\":1}");
	ASSERT_ANSWER("{\"success\":true,\"feedback_id\":1,\"diagnosis_id\":101,\"recommendation_id\":1,\"updated\":true,"
				  "\"version\":2,\"effectiveness\":0.2,\"analytics\":true,\"message\":\"the feedback is changed\"}",
		feedback_submit);
	ASSERT_READ("5|1", "SELECT rating, version FROM feedback");
	ASSERT_READ("feedback.1.1", "SELECT substr(message, 14) FROM outbox");
}

static void
test_batch(void)
{
	struct dw_buf body = { 0 };

	order.body = DW_STR("{\"feedback\":[{\"diagnosis_id\":101,\"recommendation_id\":1,\"rating\":5,"
						"\"symptom_improvement\":5},{\"diagnosis_id\":102,\"recommendation_id\":1,\"rating\":6,"
						"\"symptom_improvement\":5},7,{\"diagnosis_id\":\"x\",\"recommendation_id\":1,\"rating\":5,"
						"\"symptom_improvement\":5},{\"diagnosis_id\":104,\"recommendation_id\":1,\"rating\":4,"
						"\"symptom_improvement\":4}]}");
	ASSERT_ANSWER("{\"success\":true,\"results\":[{\"index\":0,\"success\":true,\"feedback_id\":1,\"diagnosis_id\":101,"
				  "\"recommendation_id\":1,\"updated\":false,\"version\":1,\"effectiveness\":1,\"analytics\":false,"
				  "\"message\":\"the feedback is stored\"},{\"index\":1,\"success\":false,\"error\":{\"code\":"
				  "\"invalid_field\",\"message\":\"field 'rating': 6 is not within 1..5\",\"field\":\"rating\"}},"
				  "{\"index\":2,\"success\":false,\"error\":{\"code\":\"invalid_field\",\"message\":"
				  "\"7 is not an object\"}},{\"index\":3,\"success\":false,\"error\":{\"code\":\"unknown\","
				  "\"message\":\"there is no diagnosis 'x'\",\"field\":\"diagnosis_id\"}},{\"index\":4,"
				  "\"success\":true,\"feedback_id\":2,\"diagnosis_id\":104,\"recommendation_id\":1,\"updated\":false,"
				  "\"version\":1,\"effectiveness\":0.8,\"analytics\":false,\"message\":\"the feedback is stored\"}],"
				  "\"accepted\":2,\"rejected\":3}",
		feedback_submit_batch);
	ASSERT_READ("1|101\n2|104", "SELECT id, diagnosis FROM feedback ORDER BY id");
	ASSERT_READ("3", "SELECT count(*) FROM outbox");
	order.body = DW_STR("{\"feedback\":7}");
	kit_refused(feedback_submit_batch, DW_E_FIELD, "feedback", "field 'feedback': 7 is not an array");
	order.body = DW_STR("{\"feedback\":[]}");
	ASSERT_ANSWER("{\"success\":true,\"results\":[],\"accepted\":0,\"rejected\":0}", feedback_submit_batch);
	for (int most = 50; most <= 51; most++) {
		dw_buf_reset(&body);
		dw_buf_adds(&body, "{\"feedback\":[0");
		for (int i = 1; i < most; i++)
			dw_buf_adds(&body, ",0");
		dw_buf_adds(&body, "]}");
		order.body = dw_bytes(body.data, body.len);
		if (most == 50)
			assert_non_null(strstr(kit_answer(feedback_submit_batch), "\"accepted\":0,\"rejected\":50}"));
		else
			kit_refused(feedback_submit_batch, DW_E_FIELD, "feedback", "field 'feedback': 51 entries are more than 50");
	}
	dw_buf_clear(&body);
}

/* ---- what it adds up to ---- */

/* A record as it might have been given long ago. */
static void
record(int patient, int recommendation, int rating, int improvement, int64_t age, const char *more)
{
	kit_sql("INSERT INTO feedback (patient, diagnosis, recommendation, rating, symptom_improvement, compliance,"
			"side_effects, comment, created, updated) VALUES (%d, 10%d, %d, %d, %d, %s, %lld, %lld)",
		patient, patient, recommendation, rating, improvement, more, (long long)(NOW - age), (long long)(NOW - age));
}

static void
test_history(void)
{
	static const char FIRST[] =
		"{\"feedback_id\":1,\"diagnosis_id\":101,\"recommendation_id\":1,\"herb_name\":\"Valerian\",\"rating\":5,"
		"\"symptom_improvement\":4,\"compliance\":3,\"side_effects\":\"a, b\",\"comment\":\"c\","
		"\"created\":\"2027-01-15T07:59:00Z\",\"updated\":\"2027-01-15T07:59:00Z\",\"version\":1}",
					  SECOND[] =
						  "{\"feedback_id\":2,\"diagnosis_id\":102,\"recommendation_id\":1,\"herb_name\":\"Valerian\","
						  "\"rating\":1,\"symptom_improvement\":1,\"compliance\":null,\"side_effects\":null,"
						  "\"comment\":null,\"created\":\"2027-01-15T08:00:00Z\",\"updated\":\"2027-01-15T08:00:00Z\","
						  "\"version\":1}";
	char want[1200];

	ASSERT_ANSWER("{\"success\":true,\"feedback\":[],\"count\":0}", feedback_history);
	record(1, 1, 5, 4, 60, "3, 'a, b', 'c'");
	record(2, 1, 1, 1, 0, "NULL, NULL, NULL");
	(void)snprintf(want, sizeof(want), "{\"success\":true,\"feedback\":[%s,%s],\"count\":2}", SECOND, FIRST);
	ASSERT_ANSWER(want, feedback_history);
	(void)snprintf(want, sizeof(want), "{\"success\":true,\"feedback\":[%s],\"count\":1}", SECOND);
	order.limit = 1;
	ASSERT_ANSWER(want, feedback_history);
	order.diagnosis = DW_STR("102");
	ASSERT_ANSWER(want, feedback_history);
	order.diagnosis = DW_STR("a'b");
	kit_refused(feedback_history, DW_E_UNKNOWN, "diagnosis_id", "there is no diagnosis 'a'b'");
	order.limit = 200;
	(void)kit_answer(feedback_history);
	order.limit = 201;
	kit_refused(feedback_history, DW_E_FIELD, "limit", "field 'limit': 201 is not within 1..200");
}

static void
test_summary(void)
{
	order.recommendation = 1;
	ASSERT_ANSWER("{\"success\":true,\"recommendation_id\":1,\"herb_name\":\"Valerian\",\"sample_size\":0,"
				  "\"average_rating\":null,\"average_improvement\":null,\"average_compliance\":null,"
				  "\"satisfied_percent\":null,\"side_effects\":[],\"latest_comment\":null}",
		feedback_summary);
	/* of all time: ratings 5 3 2, improvements 4 4 5, compliance of one */
	record(1, 1, 5, 4, 400 * DAY, "NULL, ' Nausea,, headache ', 'old'");
	record(2, 1, 3, 4, 60, "2, 'nausea، سرگیجه', 'new'");
	record(4, 1, 2, 5, 0, "NULL, NULL, NULL");
	order.recommendation = 1;
	ASSERT_ANSWER("{\"success\":true,\"recommendation_id\":1,\"herb_name\":\"Valerian\",\"sample_size\":3,"
				  "\"average_rating\":3.33,\"average_improvement\":4.33,\"average_compliance\":2,"
				  "\"satisfied_percent\":66.7,\"side_effects\":[\"nausea\",\"headache\",\"سرگیجه\"],"
				  "\"latest_comment\":\"new\"}",
		feedback_summary);
	kit_sql("UPDATE feedback SET comment = 'as new', created = (SELECT created FROM feedback WHERE patient = 2) "
			"WHERE patient = 4");
	order.recommendation = 1;
	assert_non_null(strstr(kit_answer(feedback_summary), "\"latest_comment\":\"as new\""));
	/* Its own patient is not shown what others have written. */
	order.recommendation = 1;
	order.own = true;
	assert_non_null(strstr(kit_answer(feedback_summary), "\"latest_comment\":\"old\""));
	ASSERT_ANSWER("{\"success\":true,\"side_effects\":[{\"side_effect\":\"nausea\",\"count\":2},"
				  "{\"side_effect\":\"headache\",\"count\":1},{\"side_effect\":\"سرگیجه\",\"count\":1}]}",
		feedback_side_effects);
	order.limit = 1;
	ASSERT_ANSWER(
		"{\"success\":true,\"side_effects\":[{\"side_effect\":\"nausea\",\"count\":2}]}", feedback_side_effects);
	order.limit = 51;
	kit_refused(feedback_side_effects, DW_E_FIELD, "limit", "field 'limit': 51 is not within 1..50");
	order.recommendation = 9;
	kit_refused(feedback_summary, DW_E_UNKNOWN, "recommendation_id", "there is no recommendation 9");
	kit_refused(feedback_summary, DW_E_UNKNOWN, "recommendation_id", "there is no recommendation 0");
}

static void
test_trend(void)
{
	order.recommendation = 1;
	ASSERT_ANSWER("{\"success\":true,\"recommendation_id\":1,\"trend\":\"new\",\"confidence\":0.5,"
				  "\"recent\":{\"average_rating\":null,\"sample_size\":0},"
				  "\"earlier\":{\"average_rating\":null,\"sample_size\":0}}",
		feedback_trend);
	/* exactly 30 days is recent, 90 still counts: 4 5 5 against 3 */
	record(1, 1, 4, 1, 30 * DAY, "NULL, NULL, NULL");
	record(2, 1, 5, 1, 1, "NULL, NULL, NULL");
	record(4, 1, 5, 1, 0, "NULL, NULL, NULL");
	record(5, 1, 3, 1, 90 * DAY, "NULL, NULL, NULL");
	record(6, 1, 1, 1, 90 * DAY + 1, "NULL, NULL, NULL");
	order.recommendation = 1;
	/* 14/3 - 3 = 1.6667; / 5 = 0.3333 */
	ASSERT_ANSWER("{\"success\":true,\"recommendation_id\":1,\"trend\":\"improving\",\"confidence\":0.333,"
				  "\"recent\":{\"average_rating\":4.67,\"sample_size\":3},"
				  "\"earlier\":{\"average_rating\":3,\"sample_size\":1}}",
		feedback_trend);
}

static void
test_overview(void)
{
	record(1, 1, 5, 4, 400 * DAY, "NULL, NULL, NULL");
	record(2, 1, 4, 2, 0, "NULL, NULL, NULL");
	order.diagnosis = DW_STR("101");
	ASSERT_ANSWER("{\"success\":true,\"diagnosis_id\":101,\"condition\":\"insomnia\",\"sample_size\":2,"
				  "\"average_rating\":4.5,\"average_improvement\":3,\"recommendations\":[{\"recommendation_id\":1,"
				  "\"herb_name\":\"Valerian\",\"sample_size\":2,\"average_rating\":4.5,\"average_improvement\":3},"
				  "{\"recommendation_id\":2,\"herb_name\":\"گل گاوزبان\",\"sample_size\":0,\"average_rating\":null,"
				  "\"average_improvement\":null}]}",
		feedback_overview);
	order.diagnosis = DW_STR("102");
	ASSERT_ANSWER("{\"success\":true,\"diagnosis_id\":102,\"condition\":\"insomnia\",\"sample_size\":0,"
				  "\"average_rating\":null,\"average_improvement\":null,\"recommendations\":[]}",
		feedback_overview);
	order.diagnosis = DW_STR("999");
	kit_refused(feedback_overview, DW_E_UNKNOWN, "diagnosis_id", "there is no diagnosis '999'");
}

/* Whose owners are asked for: each once. */
static void
test_diagnoses_of(void)
{
	static const char both[] = "101\0"
							   "103";

	order.body = DW_STR("{\"recommendation_ids\":[1,3,2,1,\"x\",3]}");
	assert_int_equal(DW_OK, diagnoses_of(db, &order, &answer, &fault));
	assert_int_equal(sizeof(both), answer.len);
	assert_memory_equal(both, answer.data, sizeof(both));
	dw_buf_reset(&answer);
	order.body = DW_STR("{\"recommendation_ids\":[1,99]}");
	assert_int_equal(DW_E_UNKNOWN, diagnoses_of(db, &order, &answer, &fault));
}

/* What fails in the midst of a list does not go on reading of that moment: nothing could be written beside a newer one.
 */
static void
test_rollback_ends_all(void)
{
	struct db *other;
	sqlite3_stmt *row;
	bool more;

	assert_int_equal(DW_OK, db_begin_read(db, &fault));
	assert_int_equal(DW_OK, db_query(db, &row, &fault, sql_analytics_recommendations, "s", "101"));
	assert_int_equal(DW_OK, db_next(db, row, &more, &fault));
	db_rollback(db);
	assert_int_equal(DW_OK, db_open(&other, kit_file, &fault));
	assert_int_equal(DW_OK, db_begin(other, &fault));
	assert_int_equal(DW_OK, db_run(other, &fault, sql_call_grow, ""));
	assert_int_equal(DW_OK, db_commit(other, &fault));
	db_close(&other);
	db_patience(db, 0);
	assert_int_equal(DW_OK, db_begin(db, &fault));
}

int
main(void)
{
	static const struct plain_test tests[] = { TEST(test_submit), TEST(test_recommendation_of_another),
		TEST(test_second_changes_the_first), TEST(test_every_fifth_computes), TEST(test_refused),
		TEST(test_longest_texts), TEST(test_update), TEST(test_rolled_back), TEST(test_dry), TEST(test_batch),
		TEST(test_history), TEST(test_summary), TEST(test_trend), TEST(test_overview), TEST(test_rollback_ends_all),
		TEST(test_diagnoses_of) };

	return run_plain_tests(tests, sizeof(tests) / sizeof(tests[0]), set_up, kit_close);
}
