/* links: cmd/diagws-clinic/work/analytics.c cmd/diagws-clinic/work/analytics_read.c cmd/diagws-clinic/work/effect.c */
/* links: cmd/diagws-clinic/work/feedback_read.c cmd/diagws-clinic/work/outbox.c cmd/diagws-clinic/work/call.c */
/* links: cmd/diagws-clinic/work/fields.c cmd/diagws-clinic/work/answer.c cmd/diagws-clinic/sql/db.c gen/clinic_sql.c */
/* links: cmd/diagws-clinic/model/effectiveness.c cmd/diagws-clinic/model/rating.c */
/* links: lib/message/msg.c lib/json/json.c lib/json/json_plain.c lib/base/buf.c lib/base/clock.c lib/base/err.c */
/* links: lib/base/utf8.c */
/* libs: sqlite3 jansson libcrypto */
/* Analytics: what is kept and pushed when a recommendation is computed, when it is due again, and the answers. */
#include "clinic_kit.h"

static char ranked[256]; /* the diagnoses whose ranking was looked at */

int
rank_diagnosis(struct db *of, struct dw_str diagnosis, int64_t now, struct dw_fault *why)
{
	const size_t len = strlen(ranked);

	(void)of;
	(void)why;
	assert_int_equal(order.now, now);
	(void)snprintf(ranked + len, sizeof(ranked) - len, "%.*s ", (int)diagnosis.n, diagnosis.p);
	return DW_OK;
}

/* 100 patients with a diagnosis each of insomnia, d1 to d100; recommendations 1 to 4 of d1, d1, d2, d2. */
static int
set_up(void **state)
{
	ranked[0] = '\0';
	if (kit_open(state) != 0)
		return -1;
	kit_sql("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)"
			"INSERT INTO patients SELECT i, 'P' || i, NULL, NULL FROM n;"
			"INSERT INTO diagnoses SELECT 'd' || id, id, 'insomnia', '[]', 0 FROM patients;"
			"INSERT INTO diagnoses VALUES ('e1', 1, 'anxiety', '[]', 0);"
			"INSERT INTO recommendations (id, diagnosis, herb) VALUES (1, 'd1', 'Valerian'), (2, 'd1', 'Hops'),"
			"(3, 'd2', 'Valerian'), (4, 'd2', 'Mint')");
	return 0;
}

/* `count` records of so old, of which the first `good` are successes with rating 5, the others have rating 2; the
 * patients are `from` and those that follow. */
static void
records(int recommendation, int from, int count, int good, int64_t age)
{
	kit_sql("INSERT INTO feedback (patient, diagnosis, recommendation, rating, symptom_improvement, created, updated)"
			"SELECT id, 'd' || id, %d, iif(id < %d, 5, 2), 3, %lld, %lld FROM patients WHERE id BETWEEN %d AND %d",
		recommendation, from + good, (long long)(order.now - age), (long long)(order.now - age), from,
		from + count - 1);
}

static void
compute(int64_t recommendation, bool want)
{
	bool changed = !want;

	assert_int_equal(DW_OK, db_begin(db, &fault));
	assert_int_equal(DW_OK, compute_recommendation(db, recommendation, order.now, &changed, &fault));
	assert_int_equal(DW_OK, db_commit(db, &fault));
	assert_int_equal(want, changed);
}

static const char KEPT[] = "SELECT due - 1800000000, version, effectiveness, confidence, cases, trend, average_rating,"
						   "computed - 1800000000 FROM metrics";

static void
test_worked(void)
{
	records(1, 1, 100, 85, 0);
	compute(1, true);
	/* 85 * 5 + 15 * 2 = 455 */
	ASSERT_READ("2592001|1|0.85|1.0|100|stable|4.55|0", KEPT);
	ASSERT_READ("d1|effectiveness_update|effectiveness.1.1|{\"recommendation_id\":1,\"herb_name\":\"Valerian\","
				"\"old_effectiveness\":null,\"new_effectiveness\":0.85,\"confidence\":1,\"sample_size\":100,"
				"\"trend\":\"stable\",\"improvement\":null,\"average_rating\":4.55}",
		"SELECT diagnosis, type, substr(message, 14), data FROM outbox");
	records(2, 1, 20, 14, 0);
	records(3, 1, 50, 50, 0);
	records(4, 1, 2, 1, 0);
	compute(2, true);
	compute(3, true);
	compute(4, true);
	ASSERT_READ("2|0.7|0.6\n3|1.0|0.75\n4|0.5|0.51",
		"SELECT recommendation, effectiveness, confidence FROM metrics WHERE recommendation > 1 ORDER BY 1");
	assert_string_equal("d1 d1 d2 d2 ", ranked);
}

/* Nothing new: nothing is pushed. A record gets a month old: its trend is told then, and not before. */
static void
test_only_changes_are_pushed(void)
{
	records(1, 1, 5, 3, 30 * DAY - 100); /* recent: 0.6 */
	records(1, 6, 10, 5, 60 * DAY);      /* earlier: 0.5; exactly 0.1 apart is stable */
	compute(1, true);
	ASSERT_READ("101|1|0.533|0.575|15|stable|3.6|0", KEPT);
	assert_string_equal("d1 ", ranked);
	order.now = NOW + 100;
	compute(1, false); /* exactly 30 days is recent */
	ASSERT_READ("101|1|0.533|0.575|15|stable|3.6|100", KEPT);
	assert_string_equal("d1 ", ranked);
	records(1, 16, 1, 1, 0); /* 4 of 6: 0.667 */
	compute(1, true);
	ASSERT_READ("101|2|0.563|0.58|16|improving|3.69|100", KEPT);
	order.now = NOW + 101; /* recent: the last one; earlier: 8 of 15 */
	compute(1, false);
	ASSERT_READ("2592001|2|0.563|0.58|16|improving|3.69|101", KEPT);
	ASSERT_READ("{\"recommendation_id\":1,\"herb_name\":\"Valerian\",\"old_effectiveness\":0.533,"
				"\"new_effectiveness\":0.563,\"confidence\":0.58,\"sample_size\":16,\"trend\":\"improving\","
				"\"improvement\":0.03,\"average_rating\":3.69}",
		"SELECT data FROM outbox WHERE message LIKE '%.2'");
	ASSERT_READ("2", "SELECT count(*) FROM outbox");
}

/* Feedback that changes no result may change a ranking. */
static void
test_ranked_after_feedback(void)
{
	records(1, 1, 1, 0, 0);
	compute(1, true);
	kit_sql("UPDATE feedback SET rating = 1");
	compute(1, false);
	assert_string_equal("d1 d1 ", ranked);
	ASSERT_READ("2592001|1|0.0|0.505|1|stable|1.0|0", KEPT);
}

/* What all goes out of the 90 days is forgotten, not pushed; what comes then is pushed as if it were the first. */
static void
test_forgotten(void)
{
	records(1, 1, 1, 1, 0);
	compute(1, true);
	order.now = NOW + 90 * DAY;
	compute(1, false);
	ASSERT_READ("7776001|1|1.0|0.505|1|stable|5.0|7776000", KEPT);
	order.now = NOW + 90 * DAY + 1;
	compute(1, true);
	ASSERT_READ("-|1|-|-|-|-|-|7776001", KEPT);
	compute(1, false);
	ASSERT_READ("1", "SELECT count(*) FROM outbox");
	records(1, 2, 1, 0, 0);
	compute(1, true);
	ASSERT_READ("effectiveness.1.2|-|0",
		"SELECT substr(message, 14), data ->> 'old_effectiveness', data ->> 'new_effectiveness' "
		"FROM outbox ORDER BY id DESC LIMIT 1");
}

/* A replay: what comes later does not count yet, and is due when it does. */
static void
test_replayed(void)
{
	records(1, 1, 1, 1, -500);
	records(1, 2, 1, 0, 0);
	compute(1, true);
	ASSERT_READ("500|1|0.0|0.505|1|stable|2.0|0", KEPT);
	order.now = NOW + 500;
	compute(1, true);
	ASSERT_READ("2592001|2|0.5|0.51|2|stable|3.5|500", KEPT);
	compute(2, false); /* has none at all */
	compute(77, false);
}

static void
test_recommendation_and_diagnosis(void)
{
	order.recommendation = 1;
	ASSERT_ANSWER("{\"success\":true,\"recommendation_id\":1,\"herb_name\":\"Valerian\",\"diagnosis_id\":\"d1\","
				  "\"effectiveness\":null,\"confidence\":null,\"sample_size\":0,\"trend\":null,"
				  "\"average_rating\":null,\"performance\":null}",
		analytics_recommendation);
	records(1, 1, 10, 7, 0);
	records(2, 1, 5, 1, 0);
	records(3, 1, 3, 2, 0);
	order.recommendation = 1;
	ASSERT_ANSWER("{\"success\":true,\"recommendation_id\":1,\"herb_name\":\"Valerian\",\"diagnosis_id\":\"d1\","
				  "\"effectiveness\":0.7,\"confidence\":0.55,\"sample_size\":10,\"trend\":\"stable\","
				  "\"average_rating\":4.1,\"performance\":\"high\"}",
		analytics_recommendation);
	order.recommendation = 5;
	kit_refused(analytics_recommendation, DW_E_UNKNOWN, "recommendation_id", "there is no recommendation 5");
	order.diagnosis = DW_STR("d1");
	/* 8 of 15; (7 * 5 + 3 * 2 + 5 + 4 * 2) / 15 = 3.6 */
	ASSERT_ANSWER("{\"success\":true,\"diagnosis_id\":\"d1\",\"condition\":\"insomnia\",\"effectiveness\":0.533,"
				  "\"confidence\":0.575,\"sample_size\":15,\"trend\":\"stable\",\"average_rating\":3.6,"
				  "\"performance\":\"medium\",\"recommendations\":[{\"recommendation_id\":1,"
				  "\"herb_name\":\"Valerian\",\"effectiveness\":0.7,\"confidence\":0.55,\"sample_size\":10,"
				  "\"trend\":\"stable\",\"average_rating\":4.1,\"performance\":\"high\"},{\"recommendation_id\":2,"
				  "\"herb_name\":\"Hops\",\"effectiveness\":0.2,\"confidence\":0.525,\"sample_size\":5,"
				  "\"trend\":\"stable\",\"average_rating\":2.6,\"performance\":\"low\"}]}",
		analytics_diagnosis);
	order.diagnosis = DW_STR("d0");
	kit_refused(analytics_diagnosis, DW_E_UNKNOWN, "diagnosis_id", "there is no diagnosis 'd0'");
	order.name = DW_STR("insomnia"); /* 10 of 18; 65 / 18 */
	ASSERT_ANSWER("{\"success\":true,\"condition\":\"insomnia\",\"effectiveness\":0.556,\"confidence\":0.59,"
				  "\"sample_size\":18,\"trend\":\"stable\",\"average_rating\":3.67,\"performance\":\"medium\","
				  "\"recommendations\":4}",
		analytics_condition);
	order.name = DW_STR("Valerian"); /* 9 of 13; 53 / 13 */
	ASSERT_ANSWER("{\"success\":true,\"herb_name\":\"Valerian\",\"effectiveness\":0.692,\"confidence\":0.565,"
				  "\"sample_size\":13,\"trend\":\"stable\",\"average_rating\":4.08,\"performance\":\"medium\","
				  "\"recommendations\":2}",
		analytics_herb);
	order.name = DW_STR("anxiety");
	ASSERT_ANSWER("{\"success\":true,\"condition\":\"anxiety\",\"effectiveness\":null,\"confidence\":null,"
				  "\"sample_size\":0,\"trend\":null,\"average_rating\":null,\"performance\":null,"
				  "\"recommendations\":0}",
		analytics_condition);
	order.name = DW_STR("Insomnia");
	kit_refused(analytics_condition, DW_E_UNKNOWN, "condition", "there is no condition 'Insomnia'");
	order.name = DW_STR("");
	kit_refused(analytics_herb, DW_E_UNKNOWN, "herb_name", "there is no herb ''");
}

static void
test_lists(void)
{
	ASSERT_ANSWER("{\"success\":true,\"recommendations\":0,\"due\":0,\"feedback\":0,\"outbox\":0,\"computed\":null,"
				  "\"model_version\":\"1.0\"}",
		analytics_status);
	records(1, 1, 5, 4, 0);
	records(2, 1, 4, 4, 0); /* too few */
	records(3, 1, 5, 3, 0); /* 3 of 5, before 1 of 5: improving */
	records(3, 11, 5, 1, 31 * DAY);
	records(4, 1, 5, 0, 31 * DAY); /* 6 of 6 after 0 of 5 */
	records(4, 11, 6, 6, 0);
	for (int i = 1; i <= 3; i++)
		compute(i, true);
	ASSERT_ANSWER("{\"success\":true,\"recommendations\":3,\"due\":1,\"feedback\":30,\"outbox\":3,"
				  "\"computed\":\"2027-01-15T08:00:00Z\",\"model_version\":\"1.0\"}",
		analytics_status);
	compute(4, true);
#define FIRST                                                                                            \
	"{\"recommendation_id\":1,\"herb_name\":\"Valerian\",\"diagnosis_id\":\"d1\",\"effectiveness\":0.8," \
	"\"confidence\":0.525,\"sample_size\":5,\"trend\":\"stable\",\"average_rating\":4.4,\"performance\":\"high\"}"
#define THIRD                                                                                                \
	"{\"recommendation_id\":3,\"herb_name\":\"Valerian\",\"diagnosis_id\":\"d2\",\"effectiveness\":0.4,"     \
	"\"confidence\":0.55,\"sample_size\":10,\"trend\":\"improving\",\"average_rating\":3.2,\"performance\":" \
	"\"medium\"}"
#define FOURTH                                                                                                        \
	"{\"recommendation_id\":4,\"herb_name\":\"Mint\",\"diagnosis_id\":\"d2\",\"effectiveness\":0.545,\"confidence\":" \
	"0.555,\"sample_size\":11,\"trend\":\"improving\",\"average_rating\":3.64,\"performance\":\"medium\"}"
	ASSERT_ANSWER("{\"success\":true,\"recommendations\":[" FOURTH "," THIRD "]}", analytics_trending);
	ASSERT_ANSWER("{\"success\":true,\"recommendations\":[" THIRD "," FOURTH "," FIRST "]}", analytics_worst);
	ASSERT_ANSWER("{\"success\":true,\"recommendations\":[" FIRST "," FOURTH "," THIRD "]}", feedback_most_effective);
	order.min_samples = 11;
	ASSERT_ANSWER("{\"success\":true,\"recommendations\":[" FOURTH "]}", analytics_worst);
	order.min_samples = 4;
	order.limit = 1;
	assert_non_null(strstr(kit_answer(feedback_most_effective), "[{\"recommendation_id\":2,"));
	order.limit = 50;
	(void)kit_answer(analytics_trending);
	order.limit = 51;
	kit_refused(analytics_trending, DW_E_FIELD, "limit", "field 'limit': 51 is not within 1..50");
	order.min_samples = -1;
	kit_refused(analytics_worst, DW_E_FIELD, "min_samples", "field 'min_samples': -1 is not within 1..1000000");
}

static void
test_calculate(void)
{
	struct dw_buf body = { 0 };

#define COMPUTED                                                                                               \
	"\"success\":true,\"recommendation_id\":1,\"herb_name\":\"Valerian\",\"diagnosis_id\":\"d1\","             \
	"\"effectiveness\":0.5,\"confidence\":0.51,\"sample_size\":2,\"trend\":\"stable\",\"average_rating\":3.5," \
	"\"performance\":\"medium\",\"changed\":"
	records(1, 1, 2, 1, 0);
	order.recommendation = 1;
	ASSERT_ANSWER("{" COMPUTED "true}", analytics_calculate);
	order.recommendation = 1;
	ASSERT_ANSWER("{" COMPUTED "false}", analytics_calculate);
	order.recommendation = 9;
	kit_refused(analytics_calculate, DW_E_UNKNOWN, "recommendation_id", "there is no recommendation 9");
	order.body = DW_STR("{\"recommendation_ids\":[1,9,\"1\",0]}");
	ASSERT_ANSWER("{\"success\":true,\"results\":[{\"index\":0," COMPUTED "false},{\"index\":1,\"success\":false,"
				  "\"error\":{\"code\":\"unknown\",\"message\":\"there is no recommendation 9\","
				  "\"field\":\"recommendation_id\"}},{\"index\":2,\"success\":false,\"error\":{\"code\":"
				  "\"invalid_field\",\"message\":\"field 'recommendation_ids': \\\"1\\\" is not a recommendation's "
				  "id\",\"field\":\"recommendation_ids\"}},{\"index\":3,\"success\":false,\"error\":{\"code\":"
				  "\"invalid_field\",\"message\":\"field 'recommendation_ids': 0 is not a recommendation's id\","
				  "\"field\":\"recommendation_ids\"}}],\"accepted\":1,\"rejected\":3}",
		analytics_calculate_batch);
	dw_buf_adds(&body, "{\"recommendation_ids\":[1");
	for (int i = 1; i < 101; i++)
		dw_buf_adds(&body, ",1");
	dw_buf_adds(&body, "]}");
	order.body = dw_bytes(body.data, body.len);
	kit_refused(analytics_calculate_batch, DW_E_FIELD, "recommendation_ids",
		"field 'recommendation_ids': 101 entries are more than 100");
	dw_buf_clear(&body);
	ASSERT_READ("1", "SELECT count(*) FROM outbox");
}

int
main(void)
{
	static const struct plain_test tests[] = { TEST(test_worked), TEST(test_only_changes_are_pushed),
		TEST(test_ranked_after_feedback), TEST(test_forgotten), TEST(test_replayed),
		TEST(test_recommendation_and_diagnosis), TEST(test_lists), TEST(test_calculate) };

	return run_plain_tests(tests, sizeof(tests) / sizeof(tests[0]), set_up, kit_close);
}
