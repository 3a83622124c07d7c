/* edge */
/* libs: msgpack jansson libcrypto libjwt */
/* Tokens: the first, with the upgrade or in the first message; a fresh one; and the end of the last. */
#include "../../lib/edge_kit.h"

static void
a_token_that_is_no_good_is_told_as_the_reason(void)
{
	static const struct {
		int err;
		unsigned code;
		const char *reason;
	} outcomes[] = {
		{ DW_E_TOKEN, 1008, "token invalid" },
		{ DW_E_TOKEN_EXPIRED, 1008, "token expired" },
		{ DW_E_RATE, 1008, "rate limit" },
		{ DW_E_BUSY, 1013, "try again later" },
	};

	for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
		token.err = outcomes[i].err;
		assert_closes(arrive("123", "", "ann"), outcomes[i].code, outcomes[i].reason);
	}
	token.err = DW_OK;
	assert_asked_nothing();
}

/* A room of no good name: as one that may not be watched. */
static void
a_room_that_cannot_be_is_denied_as_any(void)
{
	struct client *ann = arrive("a%20b", "", "ann");

	pass(DW_HTTP_DENY_MS - 1);
	assert_false(ann->closing);
	pass(1);
	assert_closes(ann, 1008, "access denied");
	assert_asked_nothing();
}

static void
a_wrong_argument_is_told_by_name(void)
{
	static const struct {
		const char *arguments, *words;
	} wrong[] = {
		{ "auth=basic", "auth: message" },
		{ "ack=yes", "ack: auto or client" },
		{ "heartbeat=2", "heartbeat: 0 or 1" },
		{ "epoch=a/b", "epoch: what a `connect` gave" },
		{ "device=a/b", "device: 1 to 64 of A-Z a-z 0-9 _ . -" },
		{ "device=0123456789012345678901234567890123456789012345678901234567890123456789", "device" },
		{ "after=-1", "after: a seq or 'new'" },
		{ "ack=auto&heartbeat=0&device=d&after=x", "after: a seq or 'new'" },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct client *ann = arrive("123", wrong[i].arguments, "ann");

		assert_refused(ann, "invalid_field", NULL, wrong[i].words);
		assert_closes(ann, 1008, "invalid_field");
	}
	assert_asked_nothing();
	/* Who is no good is not told of it. */
	token.err = DW_E_TOKEN;
	assert_closes(arrive("123", "after=x", "eve"), 1008, "token invalid");
	assert_hears_nothing(client_at(8));
}

static void
a_token_that_takes_long_to_check_is_waited_for(void)
{
	struct client *ann, *bob;

	token.err = DW_E_AGAIN;
	ann = arrive("123", "", "ann");
	assert_true(ann->held);
	assert_asked_nothing();
	pass(3000);
	check_ends(DW_OK);
	assert_false(ann->held);
	assert_text(asked(DW_JOIN).join.device, "sid");
	bob = arrive("123", "", "bob");
	check_ends(DW_E_TOKEN);
	assert_closes(bob, 1008, "token invalid");
	/* Who goes meanwhile is not told. */
	bob = arrive("123", "", "bob");
	leaves(bob);
	assert_false(check_is_under_way());
}

static void
a_token_may_come_in_the_first_message(void)
{
	struct client *ann = arrive("123", "auth=message&device=d", "ann");

	pass(AUTH_MS - 1);
	assert_asked_nothing();
	says(ann, "{\"type\":\"auth\",\"token\":\"t\"}");
	assert_text(asked(DW_JOIN).join.user, "ann");
	ann = arrive("123", "auth=message", "ann");
	token.err = DW_E_AGAIN;
	says(ann, "{\"type\":\"auth\",\"token\":\"t\"}");
	assert_true(ann->held);
	check_ends(DW_OK);
	assert_false(ann->held);
	assert_text(asked(DW_JOIN).join.device, "sid");
	token.err = DW_E_TOKEN;
	ann = arrive("123", "auth=message", "ann");
	says(ann, "{\"type\":\"auth\",\"token\":\"t\"}");
	assert_closes(ann, 1008, "token invalid");
}

static void
without_a_token_in_the_first_message_it_ends(void)
{
	static const char *const first[] = { "{\"type\":\"ping\"}", "{\"type\":1}", "{}" };
	struct client *ann;

	for (size_t i = 0; i < 3; i++) {
		ann = arrive("123", "auth=message", "ann");
		says(ann, first[i]);
		assert_refused(ann, "token_required", "type", "the first message is");
		assert_closes(ann, 1008, "token required");
	}
	ann = arrive("123", "auth=message", "ann");
	says(ann, "{\"type\":\"auth\"}");
	assert_refused(ann, "invalid_field", "token", "missing or no string");
	assert_closes(ann, 1008, "token required");
	ann = arrive("123", "auth=message", "ann");
	says(ann, "no JSON");
	assert_hears(ann, "error", "bad_json");
	assert_closes(ann, 1008, "token required");
	ann = arrive("123", "auth=message", "ann");
	pass(AUTH_MS);
	assert_closes(ann, 1008, "token required");
	assert_asked_nothing();
}

static void
a_token_that_ends_ends_the_connection(void)
{
	struct client *ann;

	edge.config.leeway_ms = 2000;
	token.expires = (WALL + mono) / 1000 + 10;
	ann = enters("123", "", "ann", at(0, 0));
	pass(11999);
	assert_stays(ann);
	pass(1);
	assert_closes(ann, 1008, "token expired");
}

static void
a_fresh_token_gives_more_time_and_is_asked_about(void)
{
	struct client *ann;
	struct dw_join join;

	token.expires = (WALL + mono) / 1000 + 10;
	token.diagnoses = "124";
	ann = enters("123", "", "ann", at(10, 5));
	assert_false(watches(ann, "123")->claimed);
	token.expires += 20;
	token.diagnoses = "123";
	says(ann, "{\"type\":\"auth\",\"token\":\"t2\"}");
	assert_hears(ann, "auth", "{\"expires\":\"1970-01-12T14:03:50.000Z\"}");
	join = asked(DW_JOIN).join;
	assert_int_equal(join.flags, DW_JOIN_DERIVED | DW_JOIN_CLAIMED | DW_JOIN_RETURN | DW_JOIN_HAVE);
	assert_int_equal(join.expires, token.expires);
	bring("123", a_record(11, 6));
	assert_hears_nothing(ann);
	answer(an_answer(&join, at(11, 6)));
	assert_hears(ann, "a_update", "\"seq\":11");
	pass(29999);
	assert_stays(ann);
	pass(1);
	assert_closes(ann, 1008, "token expired");
}

static void
a_fresh_token_that_is_no_good_changes_nothing(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5));

	token.err = DW_E_TOKEN;
	says(ann, "{\"type\":\"auth\",\"token\":\"t2\"}");
	assert_refused(ann, "token_invalid", "token", "token invalid");
	token.err = DW_E_BUSY;
	says(ann, "{\"type\":\"auth\",\"token\":\"t2\"}");
	assert_refused(ann, "unavailable", NULL, "try again later");
	token.err = DW_OK;
	token.user = "bob";
	says(ann, "{\"type\":\"auth\",\"token\":\"t2\"}");
	assert_refused(ann, "access_denied", "token", "another user's");
	says(ann, "{\"type\":\"auth\",\"token\":2}");
	assert_refused(ann, "invalid_field", "token", "no string");
	assert_asked_nothing();
	assert_stays(ann);
}

static void
of_two_fresh_tokens_the_second_has_to_wait(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5));

	token.err = DW_E_AGAIN;
	token.user = "ann";
	says(ann, "{\"type\":\"auth\",\"token\":\"t2\"}");
	says(ann, "{\"type\":\"auth\",\"token\":\"t3\"}");
	assert_refused(ann, "auth_pending", "token", "the token before this one is being checked");
	token.expires = UINT64_MAX / 10000;
	check_ends(DW_OK);
	assert_hears(ann, "auth", "{\"expires\":\"9999-12-31T23:59:59.000Z\"}");
	(void)asked(DW_JOIN);
	/* One that is closed meanwhile hears nothing of it. */
	says(ann, "{\"type\":\"auth\",\"token\":\"t4\"}");
	conn_close(ann->conn, 1000, "");
	check_ends(DW_OK);
	assert_hears_nothing(ann);
	assert_asked_nothing();
}

static void
the_one_that_was_refused_first_makes_place(void)
{
	struct client *ann = enters("123", "", "ann", at(0, 0)), *bob, *eve;

	token.err = DW_E_TOKEN;
	bob = arrive("123", "", "bob");
	eve = arrive("123", "", "eve");
	assert_true(conn_evict(&edge));
	assert_true(bob->cut);
	assert_false(eve->cut);
	assert_true(conn_evict(&edge));
	assert_true(eve->cut);
	assert_false(conn_evict(&edge));
	assert_stays(ann);
}

int
main(void)
{
	const struct plain_test tests[] = {
		TEST(a_token_that_is_no_good_is_told_as_the_reason),
		TEST(a_room_that_cannot_be_is_denied_as_any),
		TEST(a_wrong_argument_is_told_by_name),
		TEST(a_token_that_takes_long_to_check_is_waited_for),
		TEST(a_token_may_come_in_the_first_message),
		TEST(without_a_token_in_the_first_message_it_ends),
		TEST(a_token_that_ends_ends_the_connection),
		TEST(a_fresh_token_gives_more_time_and_is_asked_about),
		TEST(a_fresh_token_that_is_no_good_changes_nothing),
		TEST(of_two_fresh_tokens_the_second_has_to_wait),
		TEST(the_one_that_was_refused_first_makes_place),
	};

	return run_on_edges(tests, sizeof(tests) / sizeof(tests[0]));
}
