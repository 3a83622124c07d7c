/* links: lib/room.c lib/room_member.c lib/room_join.c lib/room_confirm.c lib/room_read.c lib/log.c lib/record.c */
/* links: lib/links.c lib/wire.c lib/buf.c lib/err.c lib/engine.c */
/* What follows from confirmations: where a device resumes, who has been delivered what; and messages that are not for
 * everyone. Pure memory; time is a number. Messages to everyone have seq 10, 20, 30, … as far as no direct one comes
 * between.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "diagws/room.h"

enum { NOW = 1000000000, LIMIT = 5, TTL = 1000000, CURSOR_TTL = 3000000, EDGE = 7 };

static const char EPOCH[] = "0123456789abcdef0123456789abcdef";

static struct dw_rooms all;
static struct dw_room *room;
static uint64_t now, head, room_n;

static int
set_up(void **state)
{
	struct dw_op load = { .kind = DW_OP_LOAD };

	(void)state;
	all = (struct dw_rooms) {
		.queue_limit = LIMIT, .queue_ttl_ms = TTL, .cursor_ttl_ms = CURSOR_TTL, .ownership = DW_OWNERSHIP_EITHER
	};
	now = NOW;
	head = room_n = 0;
	room = dw_room_new(&all, "123");
	assert_non_null(room);
	assert_int_equal(dw_room_load(room, &load, now), DW_OK);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	dw_room_destroy(&room);
	return 0;
}

static void
publish(const char *to, uint64_t except, uint64_t expires_at)
{
	struct dw_record record = { .type = DW_STR("a_update"),
		.id = DW_STR("i"),
		.data = DW_STR("{}"),
		.to = dw_str(to),
		.except = except,
		.expires_at = expires_at };
	struct dw_buf bytes = { 0 };

	head += 10;
	room_n += to[0] == '\0';
	record.seq = head;
	record.n = room_n;
	record.at = now;
	dw_record_pack(&bytes, &record);
	assert_int_equal(dw_room_append(room, &record, (struct dw_str) { bytes.data, bytes.len }, now), DW_OK);
	dw_buf_clear(&bytes);
}

static void
publish_some(unsigned count)
{
	while (count-- > 0)
		publish("", 0, 0);
}

static struct dw_session *
join_as(uint64_t id, const char *user, const char *device, uint64_t flags, uint64_t after, struct dw_joined *joined)
{
	const struct dw_join_context context = { EDGE, EPOCH, head, now, NULL };
	const struct dw_join join = { .session = id,
		.room = DW_STR("123"),
		.user = dw_str(user),
		.device = dw_str(device),
		.flags = flags,
		.after = after };
	struct dw_session *session = NULL;

	*joined = (struct dw_joined) { 0 };
	assert_int_equal(dw_room_join(room, &join, &context, joined, &session), DW_OK);
	return session;
}

static void
leave(struct dw_session *session)
{
	struct dw_reader *reader = session->reader;

	dw_room_leave(room, session, now);
	if (reader->session_count == 0)
		dw_room_drop_reader(room, reader);
}

static void
confirm(struct dw_session *session, uint64_t seq, uint64_t n, bool sure)
{
	assert_true(dw_room_confirm(room, session, (struct dw_position) { seq, n }, sure, now));
}

/* Where the device goes on when it comes back now. */
static uint64_t
resumes_at(const char *device)
{
	struct dw_joined joined;
	struct dw_session *session = join_as(99, "ann", device, 0, 0, &joined);

	leave(session);
	return joined.from;
}

static void
test_resumes_from_five_seconds_before_the_end(void **state)
{
	struct dw_joined joined;
	struct dw_session *session = join_as(1, "ann", "phone", 0, 0, &joined);

	(void)state;
	publish_some(3);
	confirm(session, 10, 1, false);
	now += 3000;
	confirm(session, 20, 2, false);
	now += 2500;
	confirm(session, 30, 3, false);
	assert_int_equal(session->device->at.seq, 30);
	leave(session);
	/* 5.5 s, 2.5 s and 0 s ago. */
	assert_int_equal(resumes_at("phone"), 10);
	now += 60000;
	assert_int_equal(resumes_at("phone"), 10);
}

static void
test_resumes_from_the_newest_that_is_old_enough(void **state)
{
	struct dw_joined joined;
	struct dw_session *session = join_as(1, "ann", "phone", 0, 0, &joined);

	(void)state;
	publish_some(5);
	for (unsigned i = 1; i <= 5; i++) {
		now += 250;
		confirm(session, i * 10, i, false);
	}
	now += DW_OVERLAP_MS;
	leave(session);
	assert_int_equal(resumes_at("phone"), 50);
}

static void
test_a_long_stream_overlaps_by_six_seconds_at_most(void **state)
{
	struct dw_joined joined;
	struct dw_session *session = join_as(1, "ann", "phone", 0, 0, &joined);
	const struct dw_device *device = session->device;

	(void)state;
	for (unsigned i = 1; i <= 200; i++) {
		publish("", 0, 0);
		now += 250;
		confirm(session, i * 10, i, false);
	}
	leave(session);
	/* 4 messages a second. */
	assert_in_range(device->resume.seq, (200 - 6 * 4) * 10, (200 - 5 * 4) * 10);
}

static void
test_one_that_always_goes_within_seconds_gets_on(void **state)
{
	struct dw_joined joined;

	(void)state;
	for (unsigned i = 1; i <= 5; i++) {
		struct dw_session *session;

		publish("", 0, 0);
		session = join_as(i, "ann", "phone", 0, 0, &joined);
		confirm(session, i * 10, i, false);
		now += 2000;
		leave(session);
	}
	/* What it confirmed 10, 8 and 6 s ago it has confirmed again on its last connection. */
	assert_int_equal(resumes_at("phone"), 30);
}

static void
test_what_only_an_earlier_connection_confirmed_comes_again(void **state)
{
	struct dw_joined joined;
	struct dw_session *session;

	(void)state;
	publish_some(3);
	session = join_as(1, "ann", "phone", 0, 0, &joined);
	confirm(session, 30, 3, false);
	leave(session);
	now += 60000;
	session = join_as(2, "ann", "phone", 0, 0, &joined);
	confirm(session, 10, 1, false);
	leave(session);
	assert_int_equal(resumes_at("phone"), 10);
}

static void
test_who_acknowledges_itself_resumes_exactly(void **state)
{
	struct dw_joined joined;
	struct dw_session *session = join_as(1, "ann", "phone", DW_JOIN_SURE, 0, &joined);

	(void)state;
	publish_some(4);
	confirm(session, 20, 2, true);
	leave(session);
	assert_int_equal(resumes_at("phone"), 20);
	/* One that did so once, on top of PONGs, has that for certain and no more. */
	session = join_as(2, "ann", "phone", 0, 0, &joined);
	confirm(session, 40, 4, false);
	confirm(session, 30, 3, true);
	leave(session);
	assert_int_equal(resumes_at("phone"), 30);
}

static void
test_settling_moves_the_stored_cursor(void **state)
{
	struct dw_joined joined;
	struct dw_session *session = join_as(1, "ann", "phone", 0, 0, &joined);
	struct dw_cursor cursor;

	(void)state;
	publish_some(2);
	confirm(session, 20, 2, false);
	assert_true(dw_room_take_cursor(room, now, &cursor));
	assert_int_equal(cursor.seq, 20);
	assert_int_equal(cursor.resume_seq, 0);
	now += DW_OVERLAP_MS - 1;
	dw_room_settle(room, now);
	assert_false(dw_room_take_cursor(room, now, &cursor));
	now++;
	dw_room_settle(room, now);
	assert_true(dw_room_take_cursor(room, now, &cursor));
	assert_int_equal(cursor.resume_seq, 20);
	assert_int_equal(cursor.resume_n, 2);
	assert_null(session->device->trail);
}

static uint64_t
delivered(uint64_t seq)
{
	return dw_room_receipts(room, seq, dw_str(""), 0).delivered;
}

static void
test_delivered_counts_devices_once(void **state)
{
	struct dw_joined joined;
	struct dw_session *phone, *tab, *other;

	(void)state;
	publish_some(2);
	phone = join_as(1, "ann", "phone", 0, 0, &joined);
	tab = join_as(2, "ann", "tabs", DW_JOIN_DERIVED, 0, &joined);
	other = join_as(3, "ann", "tabs", DW_JOIN_DERIVED, 0, &joined);
	assert_int_equal(delivered(10), 0);
	confirm(phone, 20, 2, false);
	assert_int_equal(delivered(10), 1);
	confirm(tab, 10, 1, false);
	confirm(other, 20, 2, false);
	assert_int_equal(delivered(10), 2);
	assert_int_equal(delivered(20), 2);
	confirm(tab, 20, 2, false);
	leave(tab);
	assert_int_equal(delivered(20), 2);
}

static void
test_what_was_skipped_is_not_delivered(void **state)
{
	struct dw_joined joined;
	struct dw_session *session;

	(void)state;
	publish_some(3);
	session = join_as(1, "ann", "phone", DW_JOIN_AFTER, 10, &joined);
	confirm(session, 30, 3, false);
	assert_int_equal(delivered(10), 0);
	assert_int_equal(delivered(20), 1);
	leave(session);
	publish_some(1);
	session = join_as(2, "ann", "phone", DW_JOIN_NEW, 0, &joined);
	publish_some(1);
	confirm(session, 50, 5, false);
	assert_int_equal(delivered(40), 0);
	assert_int_equal(delivered(50), 1);
	/* It reads what it had skipped. */
	leave(session);
	session = join_as(3, "ann", "phone", DW_JOIN_AFTER, 30, &joined);
	confirm(session, 50, 5, false);
	assert_int_equal(delivered(40), 1);
}

static void
test_an_excluded_session_that_has_gone_is_not_counted(void **state)
{
	struct dw_joined joined;
	struct dw_session *phone = join_as(1, "ann", "phone", 0, 0, &joined);
	struct dw_session *tablet = join_as(2, "bob", "tablet", 0, 0, &joined);

	(void)state;
	publish("", 1, 0);
	confirm(phone, 10, 1, false);
	assert_int_equal(dw_room_receipts(room, 10, DW_STR(""), 1).delivered, 0);
	leave(phone);
	assert_int_equal(dw_room_receipts(room, 10, DW_STR(""), 1).delivered, 0);
	confirm(tablet, 10, 1, false);
	assert_in_range(dw_room_receipts(room, 10, DW_STR(""), 1).delivered, 0, 1);
}

static void
test_what_lay_in_a_gap_is_not_delivered(void **state)
{
	struct dw_join_context context = { EDGE, EPOCH, 0, NOW, NULL };
	struct dw_join join = {
		.session = 2, .room = DW_STR("123"), .user = DW_STR("ann"), .device = DW_STR("pad"), .flags = DW_JOIN_RETURN
	};
	struct dw_joined joined = { 0 };
	struct dw_session *session = join_as(1, "ann", "phone", 0, 0, &joined);

	(void)state;
	publish_some(LIMIT + 3);
	/* Too slow: 10, 20 and 30 are no more, and it is told. */
	dw_room_skip(room, session);
	confirm(session, 80, 8, false);
	assert_int_equal(delivered(30), 0);
	assert_int_equal(delivered(40), 1);
	assert_int_equal(delivered(80), 1);
	/* What was confirmed before the gap stays delivered, and the next gap is one of its own. */
	publish_some(LIMIT + 1);
	dw_room_skip(room, session);
	assert_int_equal(delivered(80), 1);
	confirm(session, 140, 14, false);
	assert_int_equal(delivered(90), 0);
	assert_int_equal(delivered(100), 1);
	/* One that was there from the beginning, and returns behind a gap. */
	context.engine_head = head;
	assert_int_equal(dw_room_join(room, &join, &context, &joined, &session), DW_OK);
	assert_int_equal(joined.resume, DW_RESUME_GAP);
	confirm(session, 140, 14, false);
	assert_int_equal(delivered(90), 0);
	assert_int_equal(delivered(100), 2);
}

/* What the edge has been sent, as far as it goes. */
static void
serve(struct dw_reader *reader)
{
	dw_room_skip_unsent(reader);
	reader->sent = (struct dw_position) { head, room_n };
}

/* A stream is set back for one who begins further back, and what only that one lacks is dropped before it is sent. */
static void
test_a_gap_is_only_for_whom_it_was_not_sent(void **state)
{
	struct dw_joined joined;
	struct dw_session *first, *second, *third;

	(void)state;
	publish_some(LIMIT);
	first = join_as(1, "ann", "phone", DW_JOIN_NEW, 0, &joined);
	publish_some(3);
	serve(first->reader);
	second = join_as(2, "bob", "phone", DW_JOIN_AFTER, 60, &joined);
	assert_int_equal(joined.sent, 80);
	third = join_as(3, "cid", "phone", DW_JOIN_AFTER, 40, &joined);
	assert_int_equal(joined.sent, 40);
	assert_int_equal(dw_room_receipts(room, 80, DW_STR(""), 0).sent, 2);
	/* The oldest is 80. */
	publish_some(4);
	serve(first->reader);
	confirm(first, 120, 12, false);
	confirm(second, 120, 12, false);
	confirm(third, 120, 12, false);
	assert_int_equal(delivered(60), 1);
	assert_int_equal(delivered(70), 2);
	assert_int_equal(delivered(80), 3);
	/* 140, and nobody was sent 130. */
	publish_some(LIMIT + 1);
	serve(first->reader);
	confirm(first, 180, 18, false);
	assert_int_equal(delivered(130), 0);
	assert_int_equal(delivered(140), 1);
}

static void
test_sent_follows_the_edges_stream(void **state)
{
	struct dw_joined joined;
	struct dw_session *session = join_as(1, "ann", "phone", 0, 0, &joined);

	(void)state;
	publish_some(2);
	assert_int_equal(dw_room_receipts(room, 10, dw_str(""), 0).sent, 0);
	session->reader->sent = (struct dw_position) { 10, 1 };
	assert_int_equal(dw_room_receipts(room, 10, dw_str(""), 0).sent, 1);
	assert_int_equal(dw_room_receipts(room, 20, dw_str(""), 0).sent, 0);
	assert_int_equal(dw_room_receipts(room, 10, dw_str(""), 1).sent, 0);
}

static void
test_one_that_returns_says_what_it_has(void **state)
{
	const struct dw_join_context context = { EDGE, EPOCH, 40, NOW, NULL };
	struct dw_joined joined = { 0 };
	struct dw_session *session = NULL;
	struct dw_join join = { .session = 1,
		.room = DW_STR("123"),
		.user = DW_STR("ann"),
		.device = DW_STR("phone"),
		.flags = DW_JOIN_RETURN,
		.after = 40,
		.after_n = 4,
		.confirmed = 30,
		.confirmed_n = 3,
		.begun = 10 };

	(void)state;
	publish_some(4);
	assert_int_equal(dw_room_join(room, &join, &context, &joined, &session), DW_OK);
	assert_int_equal(session->confirmed.seq, 30);
	assert_int_equal(delivered(10), 0);
	assert_int_equal(delivered(20), 1);
	assert_int_equal(delivered(40), 0);
	/* It is not for certain yet. */
	assert_true(session->device->resume.seq < 30);
	confirm(session, 40, 4, false);
	assert_int_equal(delivered(40), 1);
	/* Another was there before the first message. */
	join.session = 2;
	join.device = DW_STR("tablet");
	join.begun = 0;
	assert_int_equal(dw_room_join(room, &join, &context, &joined, &session), DW_OK);
	assert_int_equal(delivered(10), 1);
	assert_int_equal(delivered(20), 2);
}

static uint64_t
read_seqs(const char *user, uint64_t after, size_t limit, uint64_t seqs[], size_t size, bool *more)
{
	const struct dw_str whom = dw_str(user);
	struct dw_position at = { after, 0 };
	struct dw_buf out = { 0 };
	struct dw_record record;
	struct dw_str rest;
	size_t count = 0;

	*more = dw_room_read(room, user[0] != '\0' ? &whom : NULL, &at, limit, 1U << 20, now, &out);
	rest = (struct dw_str) { out.data, out.len };
	while (dw_record_next(&rest, &record) == DW_OK) {
		assert_true(count < size);
		seqs[count++] = record.type.n > 0 ? record.seq : record.seq + 1;
	}
	dw_buf_clear(&out);
	return count;
}

static void
test_direct_messages_lie_between_the_others(void **state)
{
	uint64_t seqs[8];
	bool more;

	(void)state;
	publish("", 0, 0);
	publish("ann", 0, 0);
	publish("bob", 0, 0);
	publish("", 0, 0);
	assert_int_equal(room->n, 2);
	assert_int_equal(room->head, 40);
	assert_int_equal(read_seqs("ann", 0, 100, seqs, 8, &more), 3);
	assert_int_equal(seqs[0], 10);
	assert_int_equal(seqs[1], 20);
	assert_int_equal(seqs[2], 40);
	assert_false(more);
	assert_int_equal(read_seqs("", 10, 2, seqs, 8, &more), 2);
	assert_int_equal(seqs[0], 20);
	assert_int_equal(seqs[1], 30);
	assert_true(more);
	assert_int_equal(dw_room_count(room, DW_STR("ann"), 0, now), 3);
	assert_int_equal(dw_room_count(room, DW_STR("carl"), 0, now), 2);
}

static void
test_direct_messages_have_a_limit_of_their_own(void **state)
{
	struct dw_joined joined;
	struct dw_direct_gap gap;
	uint64_t seqs[16];
	bool more;

	(void)state;
	publish_some(1);
	leave(join_as(1, "ann", "phone", DW_JOIN_NEW, 0, &joined));
	for (unsigned i = 0; i < LIMIT + 2; i++)
		publish("ann", 0, 0);
	publish("bob", 0, 0);
	publish_some(LIMIT + 1);
	gap = dw_room_direct_gap(room, DW_STR("ann"), 10, now);
	assert_int_equal(gap.count, 2);
	assert_int_equal(gap.reason, DW_GAP_LIMIT);
	assert_int_equal(gap.from, 1);
	assert_int_equal(gap.to, 1);
	assert_int_equal(dw_room_direct_gap(room, DW_STR("bob"), 0, now).count, 0);
	assert_int_equal(read_seqs("ann", 0, 100, seqs, 16, &more), 2 * LIMIT);
	(void)join_as(2, "ann", "phone", 0, 0, &joined);
	assert_int_equal(joined.direct.count, 2);
	assert_int_equal(joined.gap_from, 2);
	assert_int_equal(joined.gap_to, 2);
	assert_int_equal(joined.replaying, 2 * LIMIT);
	/* The oldest direct one that is left lies before the others. */
	assert_true(joined.from < 40);
}

static void
test_what_has_expired_is_a_tombstone(void **state)
{
	struct dw_joined joined;
	uint64_t seqs[8];
	bool more;

	(void)state;
	publish("", 0, now + 1000);
	publish("ann", 0, now + 1000);
	publish("", 0, 0);
	assert_int_equal(read_seqs("ann", 0, 100, seqs, 8, &more), 3);
	now += 1000;
	assert_int_equal(read_seqs("ann", 0, 100, seqs, 8, &more), 2);
	assert_int_equal(seqs[0], 11);
	assert_int_equal(seqs[1], 30);
	assert_int_equal(dw_room_count(room, DW_STR("ann"), 0, now), 1);
	(void)join_as(1, "ann", "phone", DW_JOIN_AFTER, 10, &joined);
	assert_int_equal(joined.direct.count, 1);
	assert_int_equal(joined.direct.reason, DW_GAP_EXPIRED);
}

static void
test_audience(void **state)
{
	struct dw_joined joined;
	struct dw_audience audience;

	(void)state;
	(void)join_as(1, "ann", "phone", 0, 0, &joined);
	(void)join_as(2, "bob", "phone", 0, 0, &joined);
	leave(join_as(3, "bob", "tablet", 0, 0, &joined));
	audience = dw_room_audience(room, dw_str(""), 0);
	assert_int_equal(audience.sessions, 2);
	assert_int_equal(audience.devices, 1);
	assert_int_equal(dw_room_audience(room, dw_str(""), 1).sessions, 1);
	assert_int_equal(dw_room_audience(room, dw_str(""), 77).sessions, 2);
	assert_int_equal(dw_room_audience(room, DW_STR("ann"), 0).sessions, 1);
	assert_int_equal(dw_room_audience(room, DW_STR("ann"), 0).devices, 0);
	assert_int_equal(dw_room_audience(room, DW_STR("bob"), 0).devices, 1);
	assert_int_equal(dw_room_audience(room, DW_STR("carl"), 0).sessions, 0);
}

static void
test_direct_messages_survive_unloading(void **state)
{
	struct dw_op load = { .kind = DW_OP_LOAD };
	struct dw_joined joined;

	(void)state;
	publish("ann", 0, 0);
	publish("bob", 0, 0);
	assert_int_equal(dw_room_queued(room), 2);
	assert_false(dw_room_forgettable(room, now));
	for (uint64_t i = dw_log_first(room->direct); i < dw_log_end(room->direct); i++) {
		struct dw_str bytes = dw_log_bytes(room->direct, i);

		dw_buf_add(&load.read.directs, bytes.p, bytes.n);
	}
	load.read.summary = (struct dw_room_summary) { .head = 20, .head_at = now, .oldest_n = 1, .directs = 2 };
	dw_room_unload(room);
	assert_int_equal(dw_room_queued(room), 2);
	assert_false(dw_room_forgettable(room, now));
	assert_true(dw_room_forgettable(room, now + TTL + 1));
	assert_int_equal(dw_room_load(room, &load, now), DW_OK);
	(void)join_as(1, "ann", "phone", 0, 0, &joined);
	assert_int_equal(joined.replaying, 1);
	dw_op_clear(&load);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_resumes_from_five_seconds_before_the_end),
		TEST(test_resumes_from_the_newest_that_is_old_enough),
		TEST(test_a_long_stream_overlaps_by_six_seconds_at_most),
		TEST(test_one_that_always_goes_within_seconds_gets_on),
		TEST(test_what_only_an_earlier_connection_confirmed_comes_again),
		TEST(test_who_acknowledges_itself_resumes_exactly),
		TEST(test_settling_moves_the_stored_cursor),
		TEST(test_delivered_counts_devices_once),
		TEST(test_what_was_skipped_is_not_delivered),
		TEST(test_an_excluded_session_that_has_gone_is_not_counted),
		TEST(test_what_lay_in_a_gap_is_not_delivered),
		TEST(test_a_gap_is_only_for_whom_it_was_not_sent),
		TEST(test_sent_follows_the_edges_stream),
		TEST(test_one_that_returns_says_what_it_has),
		TEST(test_direct_messages_lie_between_the_others),
		TEST(test_direct_messages_have_a_limit_of_their_own),
		TEST(test_what_has_expired_is_a_tombstone),
		TEST(test_audience),
		TEST(test_direct_messages_survive_unloading),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
