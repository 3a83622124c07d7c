/* edge */
/* libs: msgpack jansson libcrypto libjwt */
/* What comes on a WebSocket, as libwebsockets gives it: text in pieces, what is no text, the client's Close, and how a
 * connection ends.
 */
#include "../../lib/edge_kit.h"

static const struct piece first = { .first = true }, middle = { 0 }, last = { .final = true };

/* Whether both sides have said Close, as the gate hears it. */
static bool
has_said(const struct client *client)
{
	ws_closed(client->conn, 3);
	return said_close;
}

static void
pieces_are_one_message(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5));

	says_piece(ann, "{\"type\":", (struct piece) { .first = true, .left = 7 });
	says_piece(ann, "\"ping\"}", (struct piece) { .first = true, .final = true });
	assert_hears(ann, "pong", "");
	says_piece(ann, "{\"type\":", first);
	says_piece(ann, "", middle);
	says_piece(ann, "\"pi", middle);
	assert_hears_nothing(ann);
	says_piece(ann, "ng\"}", last);
	assert_hears(ann, "pong", "");
	assert_hears_nothing(ann);
}

static void
binary_is_not_taken(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5));

	says_piece(ann, "{}", (struct piece) { .first = true, .final = true, .binary = true });
	assert_closes(ann, 1003, "text frames only");
	/* What was under way is dropped. */
	says(ann, "{\"type\":\"ping\"}");
	assert_hears_nothing(ann);
}

static void
bad_utf8_is_not_taken(void)
{
	static const char *const bad[] = { "\xff", "\xed\xa0\x80", "{\"type\":\"\xc3" };
	struct client *bob;

	for (size_t i = 0; i < 3; i++) {
		struct client *ann = enters("123", "", "ann", at(10, 5));

		says(ann, bad[i]);
		assert_closes(ann, 1007, "bad utf8");
		assert_hears_nothing(ann);
	}
	bob = enters("123", "", "bob", at(10, 5));
	says_piece(bob, "{\"type\":\"\xc3", first); /* one character in two pieces */
	says_piece(bob, "\xa4\"}", last);
	assert_refused(bob, "unknown_type", "type", "known are");
}

/* What is too long for a message is told so, what is too long to be read on ends it, also by what is announced. */
static void
a_frame_has_a_bound(void)
{
	static char text[40 * 1024];
	struct client *ann = enters("123", "", "ann", at(10, 5)), *bob = enters("123", "", "bob", at(10, 5));

	memset(text, ' ', sizeof(text) - 1);
	says_piece(ann, text, first);
	says_piece(ann, "{}", last);
	assert_refused(ann, "too_big", NULL, "8192");
	says_piece(ann, text, first);
	assert_stays(ann);
	says_piece(ann, text, last);
	assert_closes(ann, 1009, "too big");
	says_piece(bob, "{", (struct piece) { .first = true, .left = 64 * 1024 });
	assert_closes(bob, 1009, "too big");
}

/* Answered with the same, and with 1002 or 1007 where it is no good. */
static void
a_clients_close_is_answered(void)
{
	static const struct {
		const char *payload;
		size_t n;
		unsigned code;
		const char *reason;
	} closes[] = {
		{ "\x03\xe8", 2, 1000, "" },
		{ "\x03\xe9going", 7, 1001, "going" },
		{ "", 0, 1005, "" },
		{ "\x03", 1, 1002, "" },
		{ "\x00\x01", 2, 1002, "" },
		{ "\x13\x88", 2, 1002, "" },
		{ "\x03\xe8\xff", 3, 1007, "" },
		{ "\x03\xe8\xc3", 3, 1007, "" },
	};

	for (unsigned i = 0; i < sizeof(closes) / sizeof(closes[0]); i++) {
		struct client *ann = enters("123", "", "ann", at(10 + i, 5 + i));

		assert_int_equal(ws_peer_closes(ann->conn, closes[i].payload, closes[i].n), -1);
		assert_true(has_said(ann));
		assert_hears_nothing(ann);
		assert_int_equal(ann->close_code, closes[i].code);
		assert_string_equal(ann->close_reason, closes[i].reason);
		bring("123", a_record(11 + i, 6 + i));
		assert_hears_nothing(ann);
		ws_dropped(ann->conn->wsi, ann->conn);
		assert_false(ann->finished);
	}
}

static void
our_close_is_written_by_libwebsockets_where_nothing_is_in_its_way(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5)), *bob = enters("123", "", "bob", at(10, 5));

	conn_close(ann->conn, 1012, "service restart");
	conn_close(ann->conn, 1000, "again");
	assert_int_equal(ws_end(ann->conn->wsi, ann->conn), -1);
	assert_int_equal(ann->close_code, 1012);
	assert_string_equal(ann->close_reason, "service restart");
	assert_false(has_said(ann));
	ws_dropped(ann->conn->wsi, ann->conn);
	assert_false(ann->finished);
	/* Behind what is half sent it is ours. */
	bob->space = 1;
	says(bob, "{\"type\":\"ping\"}");
	conn_close(bob->conn, 1012, "service restart");
	assert_int_equal(ws_end(bob->conn->wsi, bob->conn), 0);
	assert_int_equal(ws_end(bob->conn->wsi, bob->conn), 0);
	drain(bob, NEVER_STALLS);
	assert_hears(bob, "pong", "");
	assert_hears_nothing(bob);
	assert_int_equal(bob->close_code, 1012);
	assert_string_equal(bob->close_reason, "service restart");
	(void)ws_peer_closes(bob->conn, "\x03\xf4", 2);
	assert_hears_nothing(bob);
	assert_true(has_said(bob));
}

/* One that is over a limit takes no place in which its Close could be waited for. */
static void
who_is_over_a_limit_is_not_waited_for(void)
{
	struct client *ann;

	token.err = DW_E_RATE;
	ann = arrive("123", "", "ann");
	assert_closes(ann, 1008, "rate limit");
	assert_int_equal(ws_end(ann->conn->wsi, ann->conn), -1);
	assert_true(has_said(ann));
	assert_hears_nothing(ann);
	assert_int_equal(ann->close_code, 1008);
}

static void
what_libwebsockets_drops_is_told_why(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5)), *bob = enters("123", "", "bob", at(10, 5)),
				  *eve = enters("123", "", "eve", at(10, 5));

	ws_dropped(ann->conn->wsi, ann->conn);
	assert_true(ann->finished);
	assert_hears_nothing(ann);
	assert_int_equal(ann->close_code, 1002);
	assert_string_equal(ann->close_reason, "protocol error");
	conn_close(bob->conn, 1009, "too big");
	ws_dropped(bob->conn->wsi, bob->conn);
	assert_hears_nothing(bob);
	assert_int_equal(bob->close_code, 1009);
	eve->space = 1;
	says(eve, "{\"type\":\"ping\"}");
	ws_dropped(eve->conn->wsi, eve->conn);
	drain(eve, NEVER_STALLS);
	assert_hears(eve, "pong", "");
	assert_hears_nothing(eve);
	assert_int_equal(eve->close_code, 1000);
}

/* PINGs keep it open; who answers nothing for a minute is closed, and who does not end after its Close is cut. */
static void
who_is_silent_is_closed(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5)), *bob = enters("123", "", "bob", at(10, 5));

	for (unsigned i = 1; i <= 2; i++) {
		pass(25000);
		assert_hears_nothing(ann);
		assert_hears_nothing(bob);
		assert_int_equal(ann->pings, i);
		pong(bob);
	}
	pass(9999);
	assert_stays(ann);
	pass(1);
	assert_closes(ann, 1001, "silent");
	assert_stays(bob);
	pass(3999);
	assert_false(ann->cut);
	pass(1);
	assert_true(ann->cut);
	pass(100000);
	assert_closes(bob, 1001, "silent");
}

int
main(void)
{
	const struct plain_test tests[] = {
		TEST(pieces_are_one_message),
		TEST(binary_is_not_taken),
		TEST(bad_utf8_is_not_taken),
		TEST(a_frame_has_a_bound),
		TEST(a_clients_close_is_answered),
		TEST(our_close_is_written_by_libwebsockets_where_nothing_is_in_its_way),
		TEST(who_is_over_a_limit_is_not_waited_for),
		TEST(what_libwebsockets_drops_is_told_why),
		TEST(who_is_silent_is_closed),
	};

	return run_on_edges(tests, sizeof(tests) / sizeof(tests[0]));
}
