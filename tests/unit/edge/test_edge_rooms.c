/* edge */
/* libs: msgpack jansson libcrypto libjwt */
/* Several rooms on one connection: one more, one less, denied, taken over. */
#include <stdio.h>

#include "../../lib/edge_kit.h"

static void
each_room_is_heard_with_its_own_name(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5));
	struct dw_join join;

	says(ann, "{\"type\":\"subscribe\",\"diagnosis_id\":124,\"after\":3,\"epoch\":\"e1\"}");
	join = asked(DW_JOIN).join;
	assert_text(join.room, "124");
	assert_text(join.epoch, "e1");
	assert_int_equal(join.session, ann->conn->session);
	assert_int_equal(join.flags, DW_JOIN_DERIVED | DW_JOIN_AFTER);
	assert_position(join.after, 3, 0, 0);
	answer(an_answer(&join, at(3, 1)));
	assert_hears(ann, "subscribed", "{\"message\":\"subscribed\",");
	bring("123", a_record(11, 6));
	bring("124", a_record(4, 2));
	assert_hears(ann, "a_update", "\"diagnosis_id\":123,\"timestamp\":\"1970-01-12T13:46:40.000Z\",\"seq\":11");
	assert_hears(ann, "a_update", "\"diagnosis_id\":124,\"timestamp\":\"1970-01-12T13:46:40.000Z\",\"seq\":4");
	assert_hears_nothing(ann);
}

static void
a_room_that_is_left_is_heard_no_more(void)
{
	struct client *ann = enters("123", "device=d", "ann", at(10, 5));

	subscribes(ann, "124", at(3, 1));
	says(ann, "{\"type\":\"unsubscribe\",\"diagnosis_id\":123}");
	assert_text(asked(DW_LEAVE).leave.room, "123");
	assert_text(departed().room, "123");
	assert_hears(ann, "unsubscribed", "\"diagnosis_id\":123");
	assert_null(room_find(&edge, dw_str("123")));
	bring("124", a_record(4, 2));
	assert_hears(ann, "a_update", "\"diagnosis_id\":124");
	/* The place in its connection is free for another. */
	subscribes(ann, "125", at(0, 0));
	assert_ptr_equal(watches(ann, "125"), &ann->conn->first);
	says(ann, "{\"type\":\"unsubscribe\",\"diagnosis_id\":124}");
	says(ann, "{\"type\":\"unsubscribe\",\"diagnosis_id\":\"125\"}");
	assert_hears(ann, "unsubscribed", "124");
	assert_hears(ann, "unsubscribed", "125");
	/* Without a room it goes on, and may watch again. */
	says(ann, "{\"type\":\"ping\"}");
	assert_hears(ann, "pong", "\"diagnosis_id\":null");
	assert_stays(ann);
}

static void
what_subscribes_before_connect_waits_for_it(void)
{
	struct client *ann = arrive("123", "", "ann");
	const struct dw_join join = asked(DW_JOIN).join;

	says(ann, "{\"type\":\"subscribe\",\"diagnosis_id\":124}");
	assert_true(ann->held);
	assert_asked_nothing();
	answer(an_answer(&join, at(0, 0)));
	assert_hears(ann, "connect", "123");
	pass(1);
	assert_text(asked(DW_JOIN).join.room, "124");
	assert_false(ann->held);
}

static void
a_second_room_that_is_denied_ends_nothing(void)
{
	struct client *ann = enters("123", "", "ann", at(0, 0));
	struct dw_join join;

	says(ann, "{\"type\":\"subscribe\",\"diagnosis_id\":124}");
	join = asked(DW_JOIN).join;
	refuse(&join, DW_E_DENIED);
	pass(DW_HTTP_DENY_MS - 1);
	assert_hears_nothing(ann);
	pass(1);
	assert_hears(ann, "error", "\"diagnosis_id\":124");
	assert_non_null(strstr(ann->text.data, "\"code\":\"access_denied\""));
	assert_null(room_find(&edge, dw_str("124")));
	/* Nor does one that the hub has no place for, or does not answer about. */
	says(ann, "{\"type\":\"subscribe\",\"diagnosis_id\":124}");
	join = asked(DW_JOIN).join;
	refuse(&join, DW_E_NOMEM);
	assert_refused(ann, "unavailable", NULL, "try again later");
	says(ann, "{\"type\":\"subscribe\",\"diagnosis_id\":124}");
	(void)asked(DW_JOIN);
	pass(5000);
	assert_refused(ann, "unavailable", NULL, "try again later");
	(void)asked(DW_LEAVE);
	assert_stays(ann);
}

static void
close_session(const struct client *client, const char *room, unsigned code, const char *reason, uint32_t stay)
{
	said(&(struct dw_wire) { .kind = DW_CLOSE,
		.close = { .session = client->conn->session,
			.room = dw_str(room),
			.code = code,
			.reason = dw_str(reason),
			.stay = stay } });
}

static void
who_is_taken_over_in_its_only_room_is_closed(void)
{
	struct client *ann = enters("123", "device=d", "ann", at(0, 0));

	close_session(ann, "124", 4001, "replaced", watches(ann, "123")->stay);
	close_session(ann, "123", 4001, "replaced", watches(ann, "123")->stay - 1);
	assert_stays(ann);
	close_session(ann, "123", 4001, "replaced", watches(ann, "123")->stay);
	assert_closes(ann, 4001, "replaced");
	bring("123", a_record(1, 1));
	assert_hears_nothing(ann);
}

static void
who_is_taken_over_in_one_of_its_rooms_keeps_the_others(void)
{
	struct client *ann = enters("123", "device=d", "ann", at(0, 0));

	subscribes(ann, "124", at(0, 0));
	close_session(ann, "124", 4001, "replaced", watches(ann, "124")->stay);
	assert_hears(ann, "unsubscribed", "\"diagnosis_id\":124");
	assert_non_null(strstr(ann->text.data, "{\"reason\":\"replaced\"}"));
	assert_stays(ann);
	/* The hub has ended it: it is not to be told. */
	assert_asked_nothing();
	bring("123", a_record(1, 1));
	assert_hears(ann, "a_update", "123");
}

static void
a_connection_has_64_rooms(void)
{
	struct client *ann = enters("123", "", "ann", at(0, 0));
	char room[16], json[64];

	for (int i = 1; i < 64; i++) {
		(void)snprintf(room, sizeof(room), "%d", 1000 + i);
		subscribes(ann, room, at(0, 0));
	}
	says(ann, "{\"type\":\"subscribe\",\"diagnosis_id\":7}");
	assert_refused(ann, "too_many", "diagnosis_id", "64");
	assert_asked_nothing();
	(void)snprintf(json, sizeof(json), "{\"type\":\"unsubscribe\",\"diagnosis_id\":%s}", room);
	says(ann, json);
	assert_hears(ann, "unsubscribed", room);
	(void)asked(DW_LEAVE);
	subscribes(ann, "7", at(0, 0));
}

/* A heartbeat tells of each room how far it is. */
static void
heartbeats_tell_the_head_of_each_room(void)
{
	struct client *ann = enters("123", "heartbeat=1", "ann", at(10, 5)), *bob = enters("123", "", "bob", at(10, 5));

	subscribes(ann, "124", at(3, 1));
	pass(24000);
	says(ann, "{\"type\":\"subscribe\",\"diagnosis_id\":125}"); /* of which nothing is known yet */
	pass(999);
	assert_hears_nothing(ann);
	pass(1);
	assert_hears(ann, "heartbeat", "\"diagnosis_id\":123");
	assert_non_null(strstr(ann->text.data, "{\"head\":10}"));
	assert_hears(ann, "heartbeat", "{\"head\":3}");
	assert_hears_nothing(ann);
	assert_hears_nothing(bob);
	assert_int_equal(bob->pings, 1);
}

int
main(void)
{
	const struct plain_test tests[] = {
		TEST(each_room_is_heard_with_its_own_name),
		TEST(a_room_that_is_left_is_heard_no_more),
		TEST(what_subscribes_before_connect_waits_for_it),
		TEST(a_second_room_that_is_denied_ends_nothing),
		TEST(who_is_taken_over_in_its_only_room_is_closed),
		TEST(who_is_taken_over_in_one_of_its_rooms_keeps_the_others),
		TEST(a_connection_has_64_rooms),
		TEST(heartbeats_tell_the_head_of_each_room),
	};

	return run_on_edges(tests, sizeof(tests) / sizeof(tests[0]));
}
