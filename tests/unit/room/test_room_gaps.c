/* links: lib/room/room.c lib/room/member.c lib/room/join.c lib/room/session.c lib/room/confirm.c lib/room/read.c */
/* links: lib/room/queued.c lib/base/ring.c */
/* links: lib/base/hash.c lib/wire/wire.c lib/wire/msgpack.c lib/base/buf.c lib/base/err.c lib/store/engine.c */
/* libs: msgpack */
/* What is no more, told by numbers alone: of the messages to everyone, and of those to one user. And how both logs are
 * read as one.
 */
#include "room_kit.h"

#define ANN DW_STR("ann")
#define BOB DW_STR("bob")

static struct dw_gap
gap_behind(uint64_t n)
{
	return dw_room_gap(room, dw_position_skip(dw_position_start(), n, 0));
}

static struct dw_gap
direct_gap_behind(struct dw_str user, uint64_t own)
{
	return dw_room_direct_gap(room, user, dw_position_skip(dw_position_start(), 0, own));
}

/* Direct messages to ten users, as many as are retained of each. */
static void
fill_room_with_directs(void)
{
	static const char *const names[] = { "u0", "u1", "u2", "u3", "u4", "u5", "u6", "u7", "u8", "u9" };

	for (size_t i = 0; i < DW_HISTORY_TIMES; i++)
		direct_some(names[i], LIMIT);
}

/* ---- gaps of messages to everyone */

static void
test_gap_is_what_lies_before_the_oldest(void)
{
	assert_no_gap(gap_behind(0));
	publish_some(LIMIT);
	assert_no_gap(gap_behind(0));
	publish_some(3);
	assert_gap(gap_behind(0), 1, 3, DW_GAP_LIMIT);
	assert_gap(gap_behind(2), 3, 3, DW_GAP_LIMIT);
	assert_no_gap(gap_behind(3));
	assert_no_gap(gap_behind(8));
}

static void
test_gap_of_all_there_was(void)
{
	publish_some(2);
	pass(TTL + 1);
	dw_room_expire(room, now);
	assert_gap(gap_behind(0), 1, 2, DW_GAP_EXPIRED);
	assert_no_gap(gap_behind(2));
}

/* However it was when they went. */
static void
test_reason_is_limit_where_as_many_are_retained(void)
{
	publish_some(2);
	pass(TTL + 1);
	publish_some(LIMIT - 1);
	assert_gap(gap_behind(0), 1, 2, DW_GAP_EXPIRED);
	publish_some(1);
	assert_gap(gap_behind(0), 1, 2, DW_GAP_LIMIT);
	pass(TTL + 1);
	dw_room_expire(room, now);
	assert_gap(gap_behind(0), 1, LIMIT + 2, DW_GAP_EXPIRED);
}

/* ---- gaps of direct messages */

static void
test_direct_gap_counts_the_users_own(void)
{
	publish_some(1);
	for (unsigned i = 0; i < LIMIT + 2; i++) {
		publish("ann", 0, 0);
		publish("bob", 0, 0);
		publish_some(1);
	}
	publish("bob", 0, 0);
	assert_gap(direct_gap_behind(ANN, 0), 1, 2, DW_GAP_LIMIT);
	assert_gap(direct_gap_behind(ANN, 1), 2, 2, DW_GAP_LIMIT);
	assert_no_gap(direct_gap_behind(ANN, 2));
	assert_gap(direct_gap_behind(BOB, 0), 1, 3, DW_GAP_LIMIT);
	assert_no_gap(direct_gap_behind(DW_STR("carl"), 0));
}

static void
test_direct_gap_by_age(void)
{
	direct_some("ann", 2);
	pass(TTL + 1);
	direct_some("ann", LIMIT - 1);
	assert_gap(direct_gap_behind(ANN, 0), 1, 2, DW_GAP_EXPIRED);
	direct_some("ann", 1);
	assert_gap(direct_gap_behind(ANN, 0), 1, 2, DW_GAP_LIMIT);
	pass(TTL + 1);
	dw_room_expire(room, now);
	assert_gap(direct_gap_behind(ANN, 0), 1, LIMIT + 2, DW_GAP_EXPIRED);
}

static void
test_direct_gap_by_all_the_rooms(void)
{
	direct_some("ann", 2);
	fill_room_with_directs();
	assert_gap(direct_gap_behind(ANN, 0), 1, 2, DW_GAP_LIMIT);
	assert_no_gap(direct_gap_behind(DW_STR("u0"), 0));
	publish("bob", 0, 0);
	assert_gap(direct_gap_behind(DW_STR("u0"), 0), 1, 1, DW_GAP_LIMIT);
	pass(TTL + 1);
	dw_room_expire(room, now);
	assert_gap(direct_gap_behind(ANN, 0), 1, 2, DW_GAP_EXPIRED);
}

/* Of those few are retained; it is the limit all the same, for the message is not old. */
static void
test_direct_gap_by_all_of_one_other_user(void)
{
	publish("ann", 0, 0);
	direct_some("bob", LIMIT * DW_HISTORY_TIMES);
	assert_gap(direct_gap_behind(ANN, 0), 1, 1, DW_GAP_LIMIT);
}

/* ---- joins */

static void
test_after_counts_both_as_the_engine_says(void)
{
	const struct dw_place answer = { .at = dw_position_said(30, 2, 1) };

	publish_some(1);
	publish("ann", 0, 0); /* 20 */
	publish_some(1);      /* 30 */
	publish_some(LIMIT + 2);
	direct_some("ann", LIMIT + 3);
	assert_true(dw_room_asks_place(room, ANN, 30));
	place = &answer;
	(void)visit(1, "phone", DW_JOIN_AFTER, 30);
	assert_int_equal(joined.resume, DW_RESUME_GAP);
	assert_gap(joined.gap, 3, 4, DW_GAP_LIMIT);
	assert_gap(joined.direct, 2, 4, DW_GAP_LIMIT);
	assert_position(joined.from, 59, 4, 4);
	assert_int_equal(joined.replaying, 2 * LIMIT);
	/* Without, it may be more, and is never less. */
	place = NULL;
	(void)visit(2, "tablet", DW_JOIN_AFTER, 30);
	assert_gap(joined.gap, 1, 4, DW_GAP_LIMIT);
	assert_gap(joined.direct, 1, 4, DW_GAP_LIMIT);
}

static void
test_one_gap_is_enough_to_be_told(void)
{
	leave(visit(1, "phone", 0, 0));
	direct_some("ann", LIMIT + 1);
	publish_some(1);
	(void)visit(2, "phone", 0, 0);
	assert_int_equal(joined.resume, DW_RESUME_GAP);
	assert_no_gap(joined.gap);
	assert_gap(joined.direct, 1, 1, DW_GAP_LIMIT);
	assert_position(joined.from, 19, 0, 1);
}

/* One to ann; then of those to everyone 1 and 2 have gone, 3 to 7 are there. */
static void
publish_an_old_direct_one(void)
{
	publish("ann", 0, 0);
	publish_some(LIMIT + 2);
}

static void
test_a_direct_message_older_than_the_others_is_given_first(void)
{
	publish_an_old_direct_one();
	/* A first visit gets no gap: it stands ahead by n of where it reads on. */
	(void)visit(1, "phone", 0, 0);
	assert_int_equal(joined.resume, DW_RESUME_NEW);
	assert_no_gap(joined.gap);
	assert_no_gap(joined.direct);
	assert_position(joined.from, 9, 2, 0);
	assert_int_equal(joined.replaying, LIMIT + 1);
	assert_int_equal(joined.oldest, 40);
}

static void
test_who_comes_from_an_old_direct_one_lacks_the_others(void)
{
	const struct dw_place answer = { .at = dw_position_said(10, 0, 1) }, later = { .at = pos(20, 1) };

	publish_an_old_direct_one();
	place = &answer;
	(void)visit(1, "phone", DW_JOIN_AFTER, 10);
	assert_gap(joined.gap, 1, 2, DW_GAP_LIMIT);
	assert_no_gap(joined.direct);
	assert_position(joined.from, 39, 2, 1);
	/* Of another user, who does not get it: its place is before what is missing all the same. */
	place = &later;
	(void)join_as(2, "bob", "phone", DW_JOIN_AFTER, 20);
	assert_gap(joined.gap, 2, 2, DW_GAP_LIMIT);
	assert_no_gap(joined.direct);
	assert_position(joined.from, 39, 2, 0);
}

static void
test_the_stream_goes_back_to_an_old_direct_one(void)
{
	struct dw_session *session;

	publish_an_old_direct_one();
	session = join_as(1, "bob", "phone", DW_JOIN_NEW, 0);
	assert_position(joined.sent, 80, 7, 0);
	(void)visit(2, "phone", DW_JOIN_AFTER, 0);
	/* The stream's n is the room's there, and not ahead as the session's. */
	assert_position(joined.from, 9, 2, 0);
	assert_position(joined.sent, 9, 0, 0);
	assert_position(session->reader->sent, 9, 0, 0);
	/* And for one who gets nothing of it, before what that one gets. */
	session->reader->sent = pos(80, 7);
	session->reader->start = 80;
	(void)join_as(3, "bob", "tablet", DW_JOIN_AFTER, 0);
	assert_position(joined.sent, 39, 2, 0);
}

static void
test_a_position_ahead_by_n_is_confirmed(void)
{
	struct dw_session *session;

	publish_an_old_direct_one();
	session = visit(1, "phone", 0, 0);
	confirm_own(session, 10, 2, 1, true);
	assert_position(session->confirmed, 10, 2, 1);
	leave(session);
	(void)visit(2, "phone", 0, 0);
	assert_int_equal(joined.resume, DW_RESUME_EXACT);
	assert_position(joined.from, 39, 2, 1);
	/* But not by what is retained, nor by messages of its own that it never had. */
	assert_false(
		dw_room_confirm(room, session = dw_room_session(room, 2), dw_position_said(10, 3, 1), NULL, true, steady));
	assert_false(dw_room_confirm(room, session, dw_position_said(40, 3, 2), NULL, true, steady));
}

/* ---- positions */

static void
test_go_on_is_behind_both_gaps_and_before_the_next(void)
{
	struct dw_position at;

	assert_position(dw_room_go_on(room, ANN, dw_position_start()), 0, 0, 0);
	direct_some("ann", LIMIT + 1); /* 10 to 60: 2 to 6 are retained */
	publish_some(LIMIT + 1);       /* 70 to 120: 2 to 6 */
	at = dw_room_go_on(room, ANN, dw_position_start());
	assert_position(at, 19, 1, 1);
	assert_true(dw_position_same(dw_room_go_on(room, ANN, at), at));
	assert_position(dw_room_go_on(room, BOB, dw_position_start()), 79, 1, 0);
	assert_position(dw_room_go_on(room, ANN, dw_position_said(65, 1, 6)), 79, 1, 6);
	assert_position(dw_room_go_on(room, ANN, dw_position_said(120, 6, 6)), 120, 6, 6);
	pass(TTL + 1);
	dw_room_expire(room, now);
	assert_position(dw_room_go_on(room, ANN, dw_position_start()), 120, 6, 6);
}

static void
assert_own_at(struct dw_str user, uint64_t seq, uint64_t own, bool known)
{
	uint64_t got = 99;

	assert_int_equal(dw_room_own_at(room, user, seq, &got), known);
	assert_int_equal(got, own);
}

static void
test_own_at_is_exact_or_asked_for(void)
{
	direct_some("ann", LIMIT); /* 10 to 50 */
	publish("bob", 0, 0);      /* 60 */
	publish_some(1);           /* 70 */
	assert_own_at(ANN, 0, 0, true);
	/* Nothing precedes the first one ever. */
	assert_own_at(ANN, 9, 0, true);
	assert_own_at(ANN, 10, 1, true);
	assert_own_at(ANN, 49, 4, true);
	assert_own_at(ANN, 65, LIMIT, true);
	assert_own_at(BOB, 59, 0, true);
	assert_own_at(BOB, 60, 1, true);
	assert_own_at(DW_STR("carl"), 30, 0, true);
	publish("ann", 0, 0); /* 80: 1 is no more */
	assert_own_at(ANN, 15, 0, false);
	assert_own_at(ANN, 20, 2, true);
	assert_own_at(ANN, 80, LIMIT + 1, true);
	pass(TTL + 1);
	dw_room_expire(room, now);
	assert_own_at(ANN, 79, 0, false);
	assert_own_at(ANN, 80, LIMIT + 1, true);
	assert_own_at(ANN, 0, 0, true);
}

static void
test_n_at_is_exact_or_asked_for(void)
{
	publish_some(LIMIT);
	assert_false(dw_room_asks_place(room, ANN, 5));
	publish_some(1);
	assert_true(dw_room_asks_place(room, ANN, 19));
	assert_false(dw_room_asks_place(room, ANN, 20));
	assert_false(dw_room_asks_place(room, ANN, 0));
	pass(TTL + 1);
	dw_room_expire(room, now);
	assert_true(dw_room_asks_place(room, ANN, 59));
	assert_false(dw_room_asks_place(room, ANN, 60));
}

/* ---- reading both as one */

/* What is read: seqs, and of a tombstone one more. */
static uint64_t
read_seqs(const char *user, uint64_t after, size_t limit, uint64_t seqs[], size_t size, bool *more)
{
	const struct dw_str whom = dw_str(user);
	struct dw_position at = pos(after, 0);
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
test_direct_messages_lie_between_the_others(void)
{
	uint64_t seqs[8];
	bool more;

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
	assert_int_equal(dw_room_count(room, ANN, dw_position_start(), now), 3);
	assert_int_equal(dw_room_count(room, DW_STR("carl"), dw_position_start(), now), 2);
}

static void
test_direct_messages_have_a_limit_of_their_own(void)
{
	uint64_t seqs[16];
	bool more;

	publish_some(1);
	leave(visit(1, "phone", DW_JOIN_NEW, 0));
	direct_some("ann", LIMIT + 2); /* 20 to 80 */
	publish("bob", 0, 0);
	publish_some(LIMIT + 1);
	assert_int_equal(read_seqs("ann", 0, 100, seqs, 16, &more), 2 * LIMIT);
	(void)visit(2, "phone", 0, 0);
	assert_gap(joined.direct, 1, 2, DW_GAP_LIMIT);
	assert_gap(joined.gap, 2, 2, DW_GAP_LIMIT);
	assert_int_equal(joined.replaying, 2 * LIMIT);
	/* The oldest direct one that is left lies before the others. */
	assert_position(joined.from, 39, 2, 2);
}

static void
test_reading_moves_each_number_by_itself(void)
{
	const struct dw_str ann = ANN;
	struct dw_position at, stream = dw_position_start();
	struct dw_buf out = { 0 };

	publish_an_old_direct_one();
	publish("bob", 0, 0); /* 90 */
	at = dw_room_go_on(room, ann, dw_position_start());
	assert_true(dw_room_read(room, &ann, &at, 1, 1U << 20, now, &out));
	assert_position(at, 10, 2, 1);
	assert_true(dw_room_read(room, &ann, &at, 1, 1U << 20, now, &out));
	assert_position(at, 40, 3, 1);
	assert_false(dw_room_read(room, &ann, &at, 100, 1U << 20, now, &out));
	assert_position(at, 90, 7, 1);
	/* A stream has no numbers of its own. */
	assert_true(dw_room_read(room, NULL, &stream, 1, 1U << 20, now, &out));
	assert_position(stream, 10, 0, 0);
	assert_false(dw_room_read(room, NULL, &stream, 100, 1U << 20, now, &out));
	assert_position(stream, 90, 7, 0);
	dw_buf_clear(&out);
}

/* Told in its place, and no gap before it. */
static void
test_what_has_expired_is_a_tombstone(void)
{
	uint64_t seqs[8];
	bool more;

	publish("", 0, now + 1000);
	publish("ann", 0, now + 1000);
	publish("", 0, 0);
	assert_int_equal(read_seqs("ann", 0, 100, seqs, 8, &more), 3);
	assert_int_equal(seqs[1], 20);
	pass(1000);
	assert_int_equal(read_seqs("ann", 0, 100, seqs, 8, &more), 3);
	assert_int_equal(seqs[0], 11);
	assert_int_equal(seqs[1], 21);
	assert_int_equal(seqs[2], 30);
	assert_int_equal(read_seqs("bob", 0, 100, seqs, 8, &more), 2);
	assert_int_equal(dw_room_count(room, ANN, dw_position_start(), now), 1);
	(void)visit(1, "phone", DW_JOIN_AFTER, 10);
	assert_int_equal(joined.resume, DW_RESUME_EXACT);
	assert_no_gap(joined.direct);
	assert_position(joined.from, 19, 1, 0);
}

/* Whom it was not for is not told of it. */
static void
test_a_tombstone_says_whom_it_was_not_for(void)
{
	struct dw_position at = dw_position_start();
	struct dw_buf out = { 0 };
	struct dw_record record;
	struct dw_str rest;

	publish("", 7, now + 1000);
	publish("ann", 8, now + 1000);
	pass(1000);
	(void)dw_room_read(room, NULL, &at, 100, 1U << 20, now, &out);
	rest = (struct dw_str) { out.data, out.len };
	for (uint64_t except = 7; except <= 8; except++) {
		assert_int_equal(dw_record_next(&rest, &record), DW_OK);
		assert_int_equal(record.type.n, 0);
		assert_int_equal(record.except, except);
		assert_int_equal(record.expires_at, now);
	}
	dw_buf_clear(&out);
}

/* ---- loading */

static void
load_direct(struct dw_op *load, const char *to, uint64_t seq, uint64_t own, bool retained)
{
	dw_record_pack(&load->read.directs,
		&(struct dw_record) {
			.seq = seq, .at = now, .type = dw_str(retained ? "a_update" : ""), .to = dw_str(to), .own = own });
	load->read.summary.directs += retained;
	load->read.summary.head = seq;
}

static void
test_a_load_says_what_is_retained_by_tombstones(void)
{
	struct dw_op load = empty_load();

	load_user(&load, "ann", 4);
	load_user(&load, "bob", 1);
	load_direct(&load, "bob", 10, 1, true);
	load_direct(&load, "ann", 20, 2, false);
	load_direct(&load, "ann", 30, 3, true);
	load_direct(&load, "ann", 40, 4, true);
	finish_load(&load, DW_OK);
	assert_gap(direct_gap_behind(ANN, 0), 1, 2, DW_GAP_EXPIRED);
	assert_no_gap(direct_gap_behind(BOB, 0));
	assert_int_equal(dw_room_queued(room), 3);
	(void)visit(1, "phone", 0, 0);
	assert_int_equal(joined.replaying, 2);
	assert_position(joined.from, 29, 0, 2);
}

/* Its reader is to hear of it in its place: the edge asks. */
static void
test_a_stream_has_a_tombstone_for_what_is_not_retained(void)
{
	struct dw_op load = empty_load();
	uint64_t seqs[8];
	bool more;

	load_user(&load, "ann", LIMIT + 1);
	load_user(&load, "bob", 1);
	load_direct(&load, "bob", 10, 1, true);
	for (uint64_t own = 1; own <= LIMIT + 1; own++)
		load_direct(&load, "ann", 10 + own * 10, own, own > 1);
	finish_load(&load, DW_OK);
	assert_gap(direct_gap_behind(ANN, 0), 1, 1, DW_GAP_LIMIT);
	assert_int_equal(read_seqs("", 0, 100, seqs, 8, &more), LIMIT + 2);
	assert_int_equal(seqs[0], 10);
	assert_int_equal(seqs[1], 20 + 1);
	assert_int_equal(read_seqs("ann", 0, 100, seqs, 8, &more), LIMIT);
	assert_int_equal(seqs[0], 30);
}

static void
test_numbers_go_on_after_a_load(void)
{
	struct dw_op load = empty_load();

	load_user(&load, "ann", 7);
	load.read.summary.head = 70;
	finish_load(&load, DW_OK);
	users[0].name = "ann";
	users[0].own = 7;
	/* Who only ever had direct messages is a member, though all have gone. */
	assert_gap(direct_gap_behind(ANN, 0), 1, 7, DW_GAP_EXPIRED);
	assert_position(dw_room_go_on(room, ANN, dw_position_start()), 70, 0, 7);
	assert_own_at(ANN, 70, 7, true);
	assert_own_at(ANN, 69, 0, false);
	publish("ann", 0, 0);
	assert_gap(direct_gap_behind(ANN, 0), 1, 7, DW_GAP_EXPIRED);
	assert_gap(direct_gap_behind(ANN, 6), 7, 7, DW_GAP_EXPIRED);
	assert_no_gap(direct_gap_behind(ANN, 7));
}

static void
test_a_member_with_direct_messages_alone_stays(void)
{
	publish("ann", 0, 0);
	leave(join_as(1, "bob", "phone", 0, 0));
	pass(CURSOR_TTL + 1);
	dw_room_expire(room, now);
	dw_room_prune(room, now);
	assert_int_equal(room->device_count, 0);
	assert_int_equal(room->member_count, 1);
	assert_gap(direct_gap_behind(ANN, 0), 1, 1, DW_GAP_EXPIRED);
	assert_true(dw_room_forgettable(room, now));
}

static void
test_a_load_that_does_not_fit_is_corrupt(void)
{
	struct dw_op load = empty_load();

	/* To nobody who ever had one. */
	load_direct(&load, "ann", 10, 1, true);
	finish_load(&load, DW_E_CORRUPT);
	/* Above the last one. */
	load = (struct dw_op) { .kind = DW_OP_LOAD };
	load_user(&load, "ann", 1);
	load_direct(&load, "ann", 10, 2, true);
	finish_load(&load, DW_E_CORRUPT);
	/* Without a number. */
	load = (struct dw_op) { .kind = DW_OP_LOAD };
	load_user(&load, "ann", 1);
	load_direct(&load, "ann", 10, 0, true);
	finish_load(&load, DW_E_CORRUPT);
	assert_false(dw_room_resident(room));
	assert_int_equal(room->member_count, 0);
	load = (struct dw_op) { .kind = DW_OP_LOAD };
	finish_load(&load, DW_OK);
}

static void
test_direct_messages_survive_unloading(void)
{
	struct dw_op load = { .kind = DW_OP_LOAD };

	publish("ann", 0, 0);
	publish("bob", 0, 0);
	assert_int_equal(dw_room_queued(room), 2);
	assert_false(dw_room_forgettable(room, now));
	dw_room_unload(room);
	assert_int_equal(dw_room_queued(room), 2);
	assert_false(dw_room_forgettable(room, now));
	assert_true(dw_room_forgettable(room, now + TTL + 1));
	load_user(&load, "ann", 1);
	load_user(&load, "bob", 1);
	load_direct(&load, "ann", 10, 1, true);
	load_direct(&load, "bob", 20, 1, true);
	load.read.summary.oldest_n = 1;
	finish_load(&load, DW_OK);
	(void)visit(1, "phone", 0, 0);
	assert_int_equal(joined.replaying, 1);
}

int
main(void)
{
	const struct plain_test tests[] = {
		TEST(test_gap_is_what_lies_before_the_oldest),
		TEST(test_gap_of_all_there_was),
		TEST(test_reason_is_limit_where_as_many_are_retained),
		TEST(test_direct_gap_counts_the_users_own),
		TEST(test_direct_gap_by_age),
		TEST(test_direct_gap_by_all_the_rooms),
		TEST(test_direct_gap_by_all_of_one_other_user),
		TEST(test_after_counts_both_as_the_engine_says),
		TEST(test_one_gap_is_enough_to_be_told),
		TEST(test_a_direct_message_older_than_the_others_is_given_first),
		TEST(test_who_comes_from_an_old_direct_one_lacks_the_others),
		TEST(test_the_stream_goes_back_to_an_old_direct_one),
		TEST(test_a_position_ahead_by_n_is_confirmed),
		TEST(test_go_on_is_behind_both_gaps_and_before_the_next),
		TEST(test_own_at_is_exact_or_asked_for),
		TEST(test_n_at_is_exact_or_asked_for),
		TEST(test_direct_messages_lie_between_the_others),
		TEST(test_direct_messages_have_a_limit_of_their_own),
		TEST(test_reading_moves_each_number_by_itself),
		TEST(test_what_has_expired_is_a_tombstone),
		TEST(test_a_tombstone_says_whom_it_was_not_for),
		TEST(test_a_load_says_what_is_retained_by_tombstones),
		TEST(test_a_stream_has_a_tombstone_for_what_is_not_retained),
		TEST(test_numbers_go_on_after_a_load),
		TEST(test_a_member_with_direct_messages_alone_stays),
		TEST(test_a_load_that_does_not_fit_is_corrupt),
		TEST(test_direct_messages_survive_unloading),
	};

	return run_in_rooms(tests, sizeof(tests) / sizeof(tests[0]));
}
