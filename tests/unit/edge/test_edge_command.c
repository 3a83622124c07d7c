/* edge */
/* libs: msgpack jansson libcrypto libjwt */
/* What a client says, and what is wrong with it: what, where, and what is allowed. Nothing of it reaches the hub. */
#include <stdio.h>

#include "../../lib/edge_kit.h"

static const struct {
	const char *said, *code, *field, *words;
} wrong[] = {
	{ "", "bad_json", NULL, "" },
	{ "{", "bad_json", NULL, "" },
	{ "[1]", "bad_json", NULL, "a message is a JSON object" },
	{ "{}", "invalid_field", "type", "field 'type' is missing or no string" },
	{ "{\"type\":1}", "invalid_field", "type", "field 'type' is missing or no string" },
	{ "{\"type\":\"sing\"}", "unknown_type", "type", "known are ping, ack, subscribe, unsubscribe and auth" },
	{ "{\"type\":\"ack\"}", "invalid_field", "seq", "a whole number" },
	{ "{\"type\":\"ack\",\"seq\":-1}", "invalid_field", "seq", "a whole number" },
	{ "{\"type\":\"ack\",\"seq\":1.5}", "invalid_field", "seq", "a whole number" },
	{ "{\"type\":\"ack\",\"seq\":\"1\"}", "invalid_field", "seq", "a whole number" },
	{ "{\"type\":\"ack\",\"seq\":99}", "invalid_field", "seq", "nothing with this seq was sent" },
	{ "{\"type\":\"ack\",\"seq\":1,\"diagnosis_id\":9}", "not_subscribed", "diagnosis_id", "does not watch" },
	{ "{\"type\":\"ack\",\"seq\":1,\"diagnosis_id\":[]}", "invalid_field", "diagnosis_id", "1 to 64 of A-Z" },
	{ "{\"type\":\"subscribe\"}", "invalid_field", "diagnosis_id", "1 to 64 of A-Z a-z 0-9 _ -, or a whole number" },
	{ "{\"type\":\"subscribe\",\"diagnosis_id\":\"a b\"}", "invalid_field", "diagnosis_id", "1 to 64 of A-Z" },
	{ "{\"type\":\"subscribe\",\"diagnosis_id\":-4}", "invalid_field", "diagnosis_id", "1 to 64 of A-Z" },
	{ "{\"type\":\"subscribe\",\"diagnosis_id\":123}", "already_subscribed", "diagnosis_id", "watches this" },
	{ "{\"type\":\"subscribe\",\"diagnosis_id\":9,\"after\":-1}", "invalid_field", "after", "a seq or \\\"new\\\"" },
	{ "{\"type\":\"subscribe\",\"diagnosis_id\":9,\"after\":\"old\"}", "invalid_field", "after", "a seq or" },
	{ "{\"type\":\"subscribe\",\"diagnosis_id\":9,\"epoch\":1}", "invalid_field", "epoch", "what a `connect` gave" },
	{ "{\"type\":\"subscribe\",\"diagnosis_id\":9,\"epoch\":\"a b\"}", "invalid_field", "epoch", "what a `connect`" },
	{ "{\"type\":\"subscribe\",\"diagnosis_id\":9,\"epoch\":\"0123456789012345678901234567890123\"}", "invalid_field",
		"epoch", "what a `connect` gave" },
	{ "{\"type\":\"unsubscribe\"}", "invalid_field", "diagnosis_id", "1 to 64 of A-Z" },
	{ "{\"type\":\"unsubscribe\",\"diagnosis_id\":9}", "not_subscribed", "diagnosis_id", "does not watch" },
	{ "{\"type\":\"auth\"}", "invalid_field", "token", "field 'token' is missing or no string" },
};

static void
what_is_wrong_is_said_by_name(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5));

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		says(ann, wrong[i].said);
		assert_refused(ann, wrong[i].code, wrong[i].field, wrong[i].words);
		assert_hears_nothing(ann);
	}
	assert_asked_nothing();
	assert_int_equal(ann->conn->subscriptions, 1);
	assert_stays(ann);
}

static void
with_several_rooms_an_ack_has_to_name_one(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5));

	subscribes(ann, "124", at(3, 1));
	says(ann, "{\"type\":\"ack\",\"seq\":3}");
	assert_refused(ann, "invalid_field", "diagnosis_id", "1 to 64");
	says(ann, "{\"type\":\"ack\",\"seq\":3,\"diagnosis_id\":124}");
	assert_hears_nothing(ann);
}

static void
null_is_as_if_it_were_not_there(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5));

	says(ann, "{\"type\":\"subscribe\",\"diagnosis_id\":9,\"after\":null,\"epoch\":null}");
	assert_int_equal(asked(DW_JOIN).join.flags, DW_JOIN_DERIVED);
	says(ann, "{\"type\":\"subscribe\",\"diagnosis_id\":10,\"after\":\"new\"}");
	assert_int_equal(asked(DW_JOIN).join.flags, DW_JOIN_DERIVED | DW_JOIN_NEW);
}

static void
a_ping_is_answered_with_the_time(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5));

	says(ann, "{\"type\":\"ping\"}");
	assert_hears(ann, "pong", "\"data\":{\"timestamp\":\"1970-01-12T14:03:20.000Z\"}");
}

/* A hundred messages at once, and then twenty a second; who says more is heard no more, and closed a second later. */
static void
who_says_too_much_is_closed_after_a_while(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5));

	for (unsigned i = 0; i < CLIENT_BUDGET; i++)
		says(ann, "{\"type\":\"ping\"}");
	(void)hears_all(ann);
	pass(500);
	for (unsigned i = 0; i < 10; i++) {
		says(ann, "{\"type\":\"ping\"}");
		assert_hears(ann, "pong", "");
	}
	assert_false(ann->held);
	says(ann, "{\"type\":\"ping\"}");
	assert_true(ann->held);
	pass(500);
	says(ann, "{\"type\":\"ping\"}");
	assert_hears_nothing(ann);
	pass(499);
	assert_stays(ann);
	pass(1);
	assert_closes(ann, 1008, "rate limit");
	assert_false(ann->held); /* its Close is to come */
}

/* Of all connections of a user what requests it may make, but of a service. */
static void
a_user_has_one_budget_for_all_its_connections(void)
{
	struct client *ann, *bob;

	edge.config.bounds.user_requests = 1;
	dw_http_limits_clear(&edge.limits);
	assert_int_equal(dw_http_limits_init(&edge.limits, &edge.config.bounds), DW_OK);
	ann = enters("123", "", "ann", at(10, 5));
	token.scope = DW_SCOPE_PUBLISH;
	bob = enters("123", "", "bob", at(10, 5));
	for (unsigned i = 0; i < 50; i++) {
		says(ann, "{\"type\":\"ping\"}");
		says(bob, "{\"type\":\"ping\"}");
		assert_hears(bob, "pong", "");
	}
	assert_true(ann->held);
	assert_false(bob->held);
	pass(1000);
	assert_closes(ann, 1008, "rate limit");
	assert_stays(bob);
}

static void
a_message_may_have_8192_bytes(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5));
	char text[8194];

	memset(text, ' ', sizeof(text));
	text[8193] = '\0';
	memcpy(text, "{\"type\":\"ping\"}", 15);
	says(ann, text);
	assert_refused(ann, "too_big", NULL, "8192 bytes");
	text[8192] = '\0';
	says(ann, text);
	assert_hears(ann, "pong", "");
	assert_stays(ann);
}

int
main(void)
{
	const struct plain_test tests[] = {
		TEST(what_is_wrong_is_said_by_name),
		TEST(with_several_rooms_an_ack_has_to_name_one),
		TEST(null_is_as_if_it_were_not_there),
		TEST(a_ping_is_answered_with_the_time),
		TEST(who_says_too_much_is_closed_after_a_while),
		TEST(a_user_has_one_budget_for_all_its_connections),
		TEST(a_message_may_have_8192_bytes),
	};

	return run_on_edges(tests, sizeof(tests) / sizeof(tests[0]));
}
