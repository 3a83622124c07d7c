/* edge */
/* libs: msgpack jansson libcrypto libjwt */
/* A client that reads too slowly: it costs nobody anything, is fed when it is behind, and is closed when it takes
 * nothing; and what has no place in a ring waits, without credit for the hub.
 */
#include "../../lib/edge_kit.h"

enum { LARGE = 60 * 1000, RECORD = 200 };

/* What a client whose kernel is full is sent lies in the ring, once. */
static void
who_is_stalled_is_written_nothing_until_its_kernel_takes_again(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5)), *bob = enters("123", "", "bob", at(10, 5));
	size_t kept;

	ann->space = 10;
	bring_some("123", 11, 6, 1);
	assert_true(ann->conn->stalled_at > 0);
	assert_false(conn_can_write(ann->conn));
	kept = ann->kept.len;
	bring_some("123", 12, 7, 3);
	assert_int_equal(ann->kept.len, kept);
	for (unsigned i = 0; i < 4; i++)
		assert_hears(bob, "a_update", "");
	assert_hears_nothing(ann);
	drain(ann, NEVER_STALLS);
	for (uint64_t seq = 11; seq <= 14; seq++) {
		assert_hears(ann, "a_update", "");
		assert_int_equal(strtoull(strstr(ann->text.data, "\"seq\":") + 6, NULL, 10), seq);
	}
	assert_hears_nothing(ann);
	assert_asked_nothing();
}

/* As many large messages as push all that was there out of the ring. */
static void
overflow_ring(uint64_t seq, uint64_t n)
{
	for (unsigned i = 0; i < 8; i++)
		bring_large("123", seq + i, n + i, LARGE);
}

/* It has heard 11, and the ring begins behind 12. */
static struct dw_read
falls_behind(struct client *client)
{
	client->space = 10;
	bring_some("123", 11, 6, 1);
	overflow_ring(12, 7);
	drain(client, NEVER_STALLS);
	assert_hears(client, "a_update", "\"seq\":11");
	return asked(DW_READ).read;
}

static void
who_falls_behind_the_ring_is_fed(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5));
	struct dw_read read = falls_behind(ann);
	const struct dw_record records[] = { a_record(12, 7), a_record(13, 8) };

	assert_int_equal(read.session, ann->conn->session);
	assert_int_equal(read.stay, watches(ann, "123")->stay);
	assert_int_equal(read.limit, 1000);
	assert_text(read.room, "123");
	assert_position(read.after, 11, 6, 0);
	/* What comes meanwhile is not for it yet. */
	bring_some("123", 20, 15, 1);
	assert_hears_nothing(ann);
	feed(&read, (struct dw_records) { .more = true, .last = at(13, 8) }, records, 2);
	assert_hears(ann, "a_update", "\"seq\":12");
	assert_hears(ann, "a_update", "\"seq\":13");
	assert_hears_nothing(ann);
	/* Still behind the ring. */
	read = asked(DW_READ).read;
	assert_position(read.after, 13, 8, 0);
	feed(&read, (struct dw_records) { .gap = { 9, 13, DW_GAP_LIMIT }, .last = at(18, 13) }, NULL, 0);
	assert_hears(ann, "gap", "{\"from\":9,\"to\":13,\"count\":5,\"reason\":\"limit\"}");
	/* From here on the ring has it. */
	assert_hears(ann, "a_update", "\"seq\":19");
	assert_hears(ann, "a_update", "\"seq\":20");
	assert_hears_nothing(ann);
	assert_asked_nothing();
}

static void
what_is_fed_for_another_stay_is_not_taken(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5));
	const struct dw_record record = a_record(12, 7);
	struct dw_read read = falls_behind(ann);

	read.stay--;
	feed(&read, (struct dw_records) { .last = at(12, 7) }, &record, 1);
	assert_hears_nothing(ann);
	read.stay++;
	feed(&read, (struct dw_records) { .code = (uint64_t)-DW_E_NOMEM }, NULL, 0);
	assert_closes(ann, 1013, "try again later");
}

/* What it does not take of what it was fed is asked for again, and less at once. */
static void
who_stalls_while_it_is_fed_is_fed_less(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5));
	struct dw_record records[RECORD];
	struct dw_read read;
	uint64_t heard = 11;

	ann->space = 10;
	bring_some("123", 11, 6, 1);
	for (uint64_t i = 0; i < RECORD; i++)
		records[i] = a_record(12 + i, 7 + i);
	overflow_ring(12 + RECORD, 7 + RECORD - 1);
	drain(ann, 1000);
	assert_hears(ann, "a_update", "\"seq\":11");
	read = asked(DW_READ).read;
	feed(&read, (struct dw_records) { .last = at(11 + RECORD, 6 + RECORD) }, records, RECORD);
	assert_false(conn_can_write(ann->conn));
	assert_true(dw_seq(watches(ann, "123")->at) < 11 + RECORD);
	drain(ann, NEVER_STALLS);
	heard += hears_all(ann);
	read = asked(DW_READ).read;
	assert_position(read.after, heard, heard - 5, 0);
	assert_true(read.limit < 1000 && read.limit >= 2 * (heard - 11));
	/* The same answer: what it has of it is passed over. */
	feed(&read, (struct dw_records) { .last = at(11 + RECORD, 6 + RECORD) }, records, RECORD);
	while (hears(ann) != NULL && strstr(ann->text.data, "xxx") == NULL)
		assert_int_equal(strtoull(strstr(ann->text.data, "\"seq\":") + 6, NULL, 10), ++heard);
	assert_int_equal(heard, 11 + RECORD);
}

/* Fed when it is stalled by another room: asked again when it takes. */
static void
what_comes_when_it_cannot_take_it_is_asked_for_again(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5));
	const struct dw_read read = falls_behind(ann);

	ann->space = 5;
	says(ann, "{\"type\":\"ping\"}");
	feed(&read, (struct dw_records) { .last = at(12, 7) }, &(struct dw_record) { .seq = 12, .n = 7 }, 1);
	assert_asked_nothing();
	drain(ann, NEVER_STALLS);
	assert_hears(ann, "pong", "");
	assert_hears_nothing(ann);
	assert_position(asked(DW_READ).read.after, 11, 6, 0);
}

/* A lost answer is doubted, once in a while. */
static void
a_read_without_an_answer_is_doubted(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5));
	uint64_t asked_at;

	(void)falls_behind(ann);
	asked_at = mono;
	pass(OVERDUE_MS - 1);
	assert_int_equal(hub.doubted, 0);
	pass(1);
	assert_int_equal(hub.doubted, asked_at);
	pass(OVERDUE_MS);
	assert_int_equal(hub.doubted, asked_at + OVERDUE_MS);
}

static void
who_takes_nothing_for_too_long_is_closed_and_cut(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5));

	ann->space = 10;
	bring_some("123", 11, 6, 1);
	pass(9000);
	ann->conn->heard_at = mono;
	drain(ann, 1); /* takes something: it has all of the time again */
	pass(1000);
	assert_stays(ann);
	pass(9999);
	assert_stays(ann);
	pass(1);
	assert_closes(ann, 1013, "too slow");
	assert_int_equal(ws_end(ann->conn->wsi, ann->conn), 0); /* behind what is half sent: ours */
	drain(ann, 1);
	pass(2000);
	assert_false(ann->cut);
	pass(2000);
	assert_true(ann->cut);
}

/* Nor is it sent the PING of the keep-alive: that would lie in memory behind the rest. */
static void
who_is_stalled_is_not_pinged(void)
{
	struct client *ann = enters("123", "heartbeat=1", "ann", at(10, 5));
	size_t kept;

	edge.config.slow_ms = 60 * 1000;
	ann->space = 1;
	says(ann, "{\"type\":\"ping\"}");
	kept = ann->kept.len;
	pass(25000);
	assert_int_equal(ann->kept.len, kept);
	drain(ann, NEVER_STALLS);
	pass(24999);
	assert_int_equal(hears_all(ann), 1);
	assert_int_equal(ann->pings, 0);
	pass(1);
	assert_hears(ann, "heartbeat", "{\"head\":10}");
	assert_hears_nothing(ann);
	assert_int_equal(ann->pings, 1);
}

static void
what_cannot_wait_is_kept_up_to_a_limit(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5));

	ann->space = 0;
	for (unsigned i = 0; i < 90 && !ann->closing; i++)
		says(ann, "{\"type\":\"ping\"}");
	assert_stays(ann);
	ann->conn->budget_at = 0;
	for (unsigned i = 0; i < 90 && !ann->closing; i++)
		says(ann, "{\"type\":\"ping\"}");
	assert_closes(ann, 1013, "too slow");
	assert_true(ann->kept.len <= LIMIT_WAITING + 200);
}

static void
a_line_that_is_dead_is_closed_without_a_word(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5)), *bob = enters("123", "", "bob", at(10, 5));

	ann->dead = true;
	bring_some("123", 11, 6, 1);
	assert_closes(ann, 1006, "");
	assert_hears(bob, "a_update", "\"seq\":11");
	pass(4000);
	assert_true(ann->cut);
}

/* MESSAGES without a turn: nobody has been offered them yet. */
static void
come(struct dw_position prev, const struct dw_record *records, size_t count)
{
	assert_true(edge_events.said(
		&edge, &(struct dw_wire) { .kind = DW_MESSAGES,
				   .messages = { .room = DW_STR("123"), .prev = prev, .records = records_of(records, count) } }));
}

static void
come_some(uint64_t seq, unsigned count)
{
	while (count-- > 0) {
		const struct dw_record one = a_record(seq, seq);

		come(at(seq - 1, seq - 1), &one, 1);
		seq++;
	}
}

/* More than a ring, from 1 to 10. */
static const struct room *
come_many(void)
{
	const struct room *room = room_find(&edge, dw_str("123"));
	struct dw_record records[10];
	static char data[LARGE];

	memset(data, 'x', sizeof(data));
	memcpy(data, "{\"x\":\"", 6);
	memcpy(data + sizeof(data) - 2, "\"}", 2);
	for (uint64_t i = 0; i < 10; i++) {
		records[i] = a_record(i + 1, i + 1);
		records[i].data = (struct dw_str) { data, sizeof(data) };
	}
	come(at(0, 0), records, 10);
	assert_non_null(room->deferred);
	return room;
}

static void
take_turns(void)
{
	while (turn_run(&edge))
		continue;
}

static void
credit_ends_where_something_is_deferred(void)
{
	struct client *ann = enters("123", "", "ann", at(0, 0));
	const struct room *room = come_many();

	come_some(11, 140);
	assert_asked_nothing();
	take_turns();
	assert_null(room->deferred);
	assert_int_equal(asked(DW_CREDIT).credit.received, 141);
	assert_int_equal(hears_all(ann), 150);
}

/* The last who watches goes: what was deferred for it is settled. */
static void
what_is_deferred_for_nobody_is_credited(void)
{
	struct client *ann = enters("123", "", "ann", at(0, 0));

	(void)come_many();
	come_some(11, 140);
	leaves(ann);
	(void)asked(DW_LEAVE);
	take_turns();
	assert_int_equal(asked(DW_CREDIT).credit.received, 141);
}

/* One who joins stands elsewhere than what is deferred ends: the stream moves there behind it. */
static void
a_stream_that_moves_does_so_behind_what_is_deferred(void)
{
	struct client *ann = enters("123", "", "ann", at(0, 0)), *bob;
	struct dw_wire joined = { .kind = DW_JOINED };
	struct dw_join join;

	(void)come_many();
	bob = arrive("123", "after=7", "bob");
	join = asked(DW_JOIN).join;
	joined.joined = an_answer(&join, at(7, 7));
	assert_true(edge_events.said(&edge, &joined));
	assert_true(edge_events.said(&edge, &joined)); /* there already */
	come_some(8, 5);
	take_turns();
	assert_int_equal(hears_all(ann), 12);
	assert_hears(bob, "connect", "");
	for (unsigned i = 8; i <= 12; i++) {
		assert_hears(bob, "a_update", "");
		assert_int_equal(strtoull(strstr(bob->text.data, "\"seq\":") + 6, NULL, 10), i);
	}
	assert_hears_nothing(bob);
	assert_asked_nothing();
}

/* What was deferred does not follow: frames were lost on the way. */
static void
a_deferred_stream_with_a_hole_is_distrusted(void)
{
	const struct dw_record one = a_record(20, 20);

	(void)enters("123", "", "ann", at(0, 0));
	(void)come_many();
	come(at(19, 19), &one, 1);
	take_turns();
	assert_int_equal(hub.distrusted, 1);
}

static void
a_stream_with_a_hole_is_distrusted_at_once(void)
{
	const struct dw_record one = a_record(9, 9);

	(void)enters("123", "", "ann", at(0, 0));
	assert_false(edge_events.said(
		&edge, &(struct dw_wire) { .kind = DW_MESSAGES,
				   .messages = { .room = DW_STR("123"), .prev = at(5, 5), .records = records_of(&one, 1) } }));
	/* Of a room that nobody watches any more it is no fault. */
	assert_true(edge_events.said(
		&edge, &(struct dw_wire) { .kind = DW_MESSAGES,
				   .messages = { .room = DW_STR("124"), .prev = at(5, 5), .records = records_of(&one, 1) } }));
}

int
main(void)
{
	const struct plain_test tests[] = {
		TEST(who_is_stalled_is_written_nothing_until_its_kernel_takes_again),
		TEST(who_falls_behind_the_ring_is_fed),
		TEST(what_is_fed_for_another_stay_is_not_taken),
		TEST(who_stalls_while_it_is_fed_is_fed_less),
		TEST(what_comes_when_it_cannot_take_it_is_asked_for_again),
		TEST(a_read_without_an_answer_is_doubted),
		TEST(who_takes_nothing_for_too_long_is_closed_and_cut),
		TEST(who_is_stalled_is_not_pinged),
		TEST(what_cannot_wait_is_kept_up_to_a_limit),
		TEST(a_line_that_is_dead_is_closed_without_a_word),
		TEST(credit_ends_where_something_is_deferred),
		TEST(what_is_deferred_for_nobody_is_credited),
		TEST(a_stream_that_moves_does_so_behind_what_is_deferred),
		TEST(a_deferred_stream_with_a_hole_is_distrusted),
		TEST(a_stream_with_a_hole_is_distrusted_at_once),
	};

	return run_on_edges(tests, sizeof(tests) / sizeof(tests[0]));
}
