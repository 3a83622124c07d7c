/* links: cmd/diagws-clinic/work/predict.c cmd/diagws-clinic/work/predict_past.c cmd/diagws-clinic/work/predict_one.c */
/* links: cmd/diagws-clinic/work/prediction.c cmd/diagws-clinic/work/rank.c cmd/diagws-clinic/work/analytics.c */
/* links: cmd/diagws-clinic/work/feedback.c cmd/diagws-clinic/work/effect.c cmd/diagws-clinic/work/outbox.c */
/* links: cmd/diagws-clinic/work/answer.c cmd/diagws-clinic/work/call.c cmd/diagws-clinic/work/fields.c */
/* links: cmd/diagws-clinic/model/effectiveness.c cmd/diagws-clinic/model/score.c */
/* links: cmd/diagws-clinic/sql/db.c gen/clinic_sql.c lib/json/json.c lib/json/json_plain.c lib/message/msg.c */
/* links: lib/base/buf.c lib/base/err.c lib/base/clock.c lib/base/utf8.c */
/* libs: sqlite3 jansson libcrypto */
/* Rankings on a real file: those that turn are told, once, in a message that the hub takes. */
#include "message/msg.h"
#include "predict_kit.h"

static void
rank(const char *diagnosis)
{
	kit_sql("BEGIN IMMEDIATE");
	assert_int_equal(DW_OK, rank_diagnosis(db, dw_str(diagnosis), NOW, &fault));
	kit_sql("COMMIT");
}

/* The messages that wait, behind the file's own tag. */
#define MESSAGES \
	"SELECT substr(message, instr(message, '.') + 1) FROM outbox WHERE type = 'recommendation_update' ORDER BY id"
#define LAST "SELECT data FROM outbox ORDER BY id DESC LIMIT 1"

static void
check_last(void)
{
	struct dw_buf compact = { 0 };
	const char *data = kit_read(LAST);

	assert_int_equal(DW_OK, dw_data_check(DW_STR("recommendation_update"), data, strlen(data), &compact, &fault));
	dw_buf_clear(&compact);
}

static void
test_ranking_turns(void)
{
	rank("101"); /* the first is only kept */
	rank("101");
	(void)predict("101");
	ASSERT_READ("", MESSAGES);

	say(2, 12, 5, 5, 10); /* 0.4 + 0.175 + 0.175 = 0.75 */
	rank("101");
	rank("101");
	(void)predict("101");
	ASSERT_READ("ranking.101.2", MESSAGES);
	ASSERT_READ(
		"{\"old_data\":{\"ranking\":["
		"{\"recommendation_id\":11,\"herb_name\":\"chamomile\",\"predicted_effectiveness\":0.563},"
		"{\"recommendation_id\":12,\"herb_name\":\"mint\",\"predicted_effectiveness\":0.55},"
		"{\"recommendation_id\":13,\"herb_name\":\"بابونه\",\"predicted_effectiveness\":0.55}]},"
		"\"new_data\":{\"ranking\":["
		"{\"recommendation_id\":12,\"herb_name\":\"mint\",\"predicted_effectiveness\":0.75},"
		"{\"recommendation_id\":11,\"herb_name\":\"chamomile\",\"predicted_effectiveness\":0.563},"
		"{\"recommendation_id\":13,\"herb_name\":\"بابونه\",\"predicted_effectiveness\":0.55}]},"
		"\"added_recommendations\":[],\"removed_recommendations\":[],\"reason\":\"what is known changed the order\"}",
		LAST);
	check_last();

	say(1, 13, 1, 1, 10); /* 0.35: another score, but no other order */
	rank("101");
	ASSERT_READ("ranking.101.2", MESSAGES);
	ASSERT_READ("2|0.55", "SELECT version, json_extract(ranking, '$[2].predicted_effectiveness') FROM rankings");
}

static void
test_ranking_gains_and_loses(void)
{
	rank("101");
	kit_sql("INSERT INTO recommendations (id, diagnosis, herb) VALUES (14, '101', 'sage'), (10, '101', 'thyme')");
	rank("101"); /* 11 leads, and those of equal scores follow by their ids */
	ASSERT_READ("[10,14]|[]|[11,10,12,13,14]|other recommendations than before",
		"SELECT data ->> 'added_recommendations', data ->> 'removed_recommendations', (SELECT "
		"json_group_array(value ->> 'recommendation_id') FROM json_each(data, '$.new_data.ranking')), "
		"data ->> 'reason' FROM outbox");
	check_last();
	kit_sql("DELETE FROM recommendations WHERE id IN (10, 12)");
	rank("101");
	ASSERT_READ("[]|[10,12]", "SELECT data ->> 'added_recommendations', data ->> 'removed_recommendations' FROM outbox "
							  "ORDER BY id DESC LIMIT 1");
	kit_sql("DELETE FROM recommendations WHERE diagnosis = '101'");
	rank("101");
	check_last();
	kit_sql("INSERT INTO recommendations (id, diagnosis, herb) VALUES (14, '101', 'sage')");
	rank("101");
	ASSERT_READ("ranking.101.2\nranking.101.3\nranking.101.4\nranking.101.5", MESSAGES);

	rank("cold"); /* nothing, then something */
	rank("cold");
	kit_sql("INSERT INTO recommendations (id, diagnosis, herb) VALUES (31, 'cold', 'sage')");
	rank("cold");
	ASSERT_READ("5", "SELECT count(*) FROM outbox");
}

static void
test_ranking_fits_a_message(void)
{
	struct dw_buf name = { 0 };

	for (int i = 0; i < 64; i++)
		dw_buf_addc(&name, '\1'); /* of which JSON makes six bytes each */
	rank("cold");
	for (int64_t i = 0; i < 210; i++)
		kit_sql("INSERT INTO recommendations (id, diagnosis, herb) VALUES (%lld, 'cold', '%s')",
			(long long)(INT64_MAX - i), name.data);
	rank("cold");
	kit_sql("INSERT INTO herb_symptoms VALUES ('sage', 'fever', 1);"
			"UPDATE recommendations SET herb = 'sage' WHERE id = %lld",
		(long long)(INT64_MAX - 100));
	rank("cold"); /* one comes first, one of those told leaves */
	check_last();
	ASSERT_READ("60|60|1|1",
		"SELECT json_array_length(data, '$.old_data.ranking'), json_array_length(data, "
		"'$.new_data.ranking'), json_array_length(data, '$.added_recommendations'), "
		"json_array_length(data, '$.removed_recommendations') FROM outbox ORDER BY id DESC LIMIT 1");
	(void)predict("cold");
	ASSERT_READ("200", "SELECT count(*) FROM forecasts"); /* of so many at most, by their ids */
	dw_buf_clear(&name);
}

/* Feedback of five patients, the last of which turns the ranking: all is told in order, with the record. */
static void
test_fifth_feedback(void)
{
	char body[128];

	rank("101");
	for (int i = 0; i < 5; i++) {
		kit_sql("INSERT INTO patients (id, name) VALUES (%d, 'x'); INSERT INTO diagnoses VALUES ('e-%d', %d, 'میگرن', "
				"'[]', 0)",
			100 + i, i, 100 + i);
		ASSERT_READ("0", "SELECT count(*) FROM outbox WHERE type = 'recommendation_update'");
		(void)snprintf(body, sizeof(body),
			"{\"diagnosis_id\":\"e-%d\",\"recommendation_id\":13,\"rating\":5,\"symptom_improvement\":5}", i);
		submit(body);
	}
	ASSERT_READ("feedback_update\nfeedback_update\neffectiveness_update\nrecommendation_update",
		"SELECT type FROM (SELECT id, type FROM outbox ORDER BY id DESC LIMIT 4) ORDER BY id");
	ASSERT_READ("13", "SELECT data ->> '$.new_data.ranking[0].recommendation_id' FROM outbox ORDER BY id DESC LIMIT 1");
}

int
main(void)
{
	static const struct plain_test tests[] = {
		TEST(test_ranking_turns),
		TEST(test_ranking_gains_and_loses),
		TEST(test_ranking_fits_a_message),
		TEST(test_fifth_feedback),
	};

	return run_plain_tests(tests, sizeof(tests) / sizeof(tests[0]), set_up, kit_close);
}
