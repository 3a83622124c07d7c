/* A room for tests: what is published into it, who joins, where they stand. Pure memory; time is two numbers, for
 * `now` may be set by anybody and `steady` only goes on. All messages have seq 10, 20, 30, …, be they direct or not,
 * unless a test says otherwise, for seq counts the whole engine and n the room.
 *
 * A test is a function of nothing, for what it works on stands here: the room, the two times, the answer to the last
 * join. run_in_rooms() gives each a room of its own.
 */
#ifndef ROOM_KIT_H
#define ROOM_KIT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/plain_tests.h"
#include "room/room.h"

enum { NOW = 1000000000, LIMIT = 5, TTL = 1000000, CURSOR_TTL = 3000000, EDGE = 7, OTHER_EDGE = 8, USERS = 16 };

static const char EPOCH[] = "0123456789abcdef0123456789abcdef";

static struct dw_rooms all;
static struct dw_room *room;
static uint64_t now, steady, head;
static const struct dw_place *place; /* the engine's answer for the next join */
static struct dw_joined joined;      /* what the last join was told */

/* The users of direct messages, and their last numbers. */
static struct {
	const char *name;
	uint64_t own;
} users[USERS];

static inline void
load_empty(void)
{
	struct dw_op load = { .kind = DW_OP_LOAD };

	assert_int_equal(dw_room_load(room, &load, now), DW_OK);
}

static inline int
set_up(void **state)
{
	(void)state;
	all = (struct dw_rooms) {
		.queue_limit = LIMIT, .queue_ttl_ms = TTL, .cursor_ttl_ms = CURSOR_TTL, .ownership = DW_OWNERSHIP_EITHER
	};
	now = NOW;
	steady = 777;
	head = 0;
	place = NULL;
	joined = (struct dw_joined) { 0 };
	memset(users, 0, sizeof(users));
	room = dw_room_new(&all, "123");
	assert_non_null(room);
	load_empty();
	return 0;
}

static inline int
tear_down(void **state)
{
	(void)state;
	dw_room_destroy(&room);
	assert_int_equal(all.sessions, 0);
	return 0;
}

static inline int
run_in_rooms(const struct plain_test *tests, size_t count)
{
	return run_plain_tests(tests, count, set_up, tear_down);
}

/* Time passes. */
static inline void
pass(uint64_t ms)
{
	now += ms;
	steady += ms;
}

static inline uint64_t
next_own(const char *user)
{
	size_t i = 0;

	while (users[i].name != NULL && !dw_str_is(dw_str(user), users[i].name))
		i++;
	users[i].name = user;
	return ++users[i].own;
}

/* To everyone, for ever. */
static inline struct dw_record
a_record(uint64_t seq, uint64_t n)
{
	return (struct dw_record) {
		.seq = seq, .n = n, .at = now, .type = DW_STR("a_update"), .id = DW_STR("i"), .data = DW_STR("{}")
	};
}

static inline void
append(struct dw_record record)
{
	struct dw_buf bytes = { 0 };

	dw_record_pack(&bytes, &record);
	assert_int_equal(dw_room_append(room, &record, (struct dw_str) { bytes.data, bytes.len }, now), DW_OK);
	dw_buf_clear(&bytes);
	head = record.seq;
}

static inline void
publish(const char *to, uint64_t except, uint64_t expires_at)
{
	const bool direct = to[0] != '\0';
	struct dw_record record = a_record(head + 10, room->n + !direct);

	record.own = direct ? next_own(to) : 0;
	record.to = dw_str(to);
	record.except = except;
	record.expires_at = expires_at;
	append(record);
}

static inline void
publish_at(uint64_t seq, uint64_t n)
{
	append(a_record(seq, n));
}

static inline void
publish_some(unsigned count)
{
	while (count-- > 0)
		publish("", 0, 0);
}

static inline void
direct_some(const char *to, unsigned count)
{
	while (count-- > 0)
		publish(to, 0, 0);
}

/* Messages up to n, be there as many already or fewer. */
static inline void
publish_up_to(uint64_t n)
{
	publish_some((unsigned)(n - room->n));
}

/* Of one that gets nothing direct. */
static inline struct dw_position
pos(uint64_t seq, uint64_t n)
{
	return dw_position_said(seq, n, 0);
}

static inline struct dw_join
a_join(uint64_t session, const char *user, const char *device, uint64_t flags)
{
	return (struct dw_join) {
		.session = session, .room = DW_STR("123"), .user = dw_str(user), .device = dw_str(device), .flags = flags
	};
}

/* A session that comes back to us from a hub or an edge that was away, having been written up to `after`. */
static inline struct dw_join
a_return(uint64_t session, const char *device, struct dw_position after)
{
	struct dw_join back = a_join(session, "ann", device, DW_JOIN_RETURN);

	back.after = after;
	return back;
}

static inline struct dw_session *
join_at(uint32_t edge, const struct dw_join *asked)
{
	const struct dw_join_context context = { edge, EPOCH, head, now, steady, place };
	struct dw_session *session = NULL;

	joined = (struct dw_joined) { 0 };
	assert_int_equal(dw_room_join(room, asked, &context, &joined, &session), DW_OK);
	assert_non_null(session);
	return session;
}

static inline struct dw_session *
join(const struct dw_join *asked)
{
	return join_at(EDGE, asked);
}

static inline struct dw_session *
join_as(uint64_t id, const char *user, const char *device, uint64_t flags, uint64_t after)
{
	struct dw_join asked = a_join(id, user, device, flags);

	asked.after = pos(after, 0);
	return join(&asked);
}

/* Ann, of whom most tests are. */
static inline struct dw_session *
visit(uint64_t id, const char *device, uint64_t flags, uint64_t after)
{
	return join_as(id, "ann", device, flags, after);
}

static inline void
leave(struct dw_session *session)
{
	struct dw_reader *reader = session->reader;

	dw_room_leave(room, session, now, steady);
	if (reader->session_count == 0)
		dw_room_drop_reader(room, reader);
}

/* What has changed goes to the store. */
static inline void
take_cursors(void)
{
	struct dw_cursor cursor;

	while (dw_room_take_cursor(room, now, &cursor))
		continue;
}

static inline void
confirm_own(struct dw_session *session, uint64_t seq, uint64_t n, uint64_t own, bool sure)
{
	assert_true(dw_room_confirm(room, session, dw_position_said(seq, n, own), NULL, sure, steady));
}

static inline void
confirm(struct dw_session *session, uint64_t seq, uint64_t n, bool sure)
{
	confirm_own(session, seq, n, 0, sure);
}

/* What it was told as a gap lies before `begun`. */
static inline void
confirm_behind(struct dw_session *session, uint64_t seq, uint64_t n, uint64_t own, struct dw_begun begun)
{
	assert_true(dw_room_confirm(room, session, dw_position_said(seq, n, own), &begun, false, steady));
}

static inline void
assert_position(struct dw_position at, uint64_t seq, uint64_t n, uint64_t own)
{
	assert_int_equal(dw_seq(at), seq);
	assert_int_equal(dw_n(at), n);
	assert_int_equal(dw_own(at), own);
}

static inline void
assert_joined(enum dw_resume resume, uint64_t from, uint64_t from_n, uint64_t replaying)
{
	assert_string_equal(dw_resume_text(joined.resume), dw_resume_text(resume));
	assert_int_equal(dw_seq(joined.from), from);
	assert_int_equal(dw_n(joined.from), from_n);
	assert_int_equal(joined.replaying, replaying);
}

static inline void
assert_gap(struct dw_gap gap, uint64_t from, uint64_t to, enum dw_gap_reason reason)
{
	assert_int_equal(gap.from, from);
	assert_int_equal(gap.to, to);
	assert_string_equal(dw_gap_text(gap.reason), dw_gap_text(reason));
}

static inline void
assert_no_gap(struct dw_gap gap)
{
	assert_gap(gap, 0, 0, DW_GAP_NONE);
}

/* ---- what an engine's load brings; the room is unloaded before */

static inline struct dw_op
empty_load(void)
{
	dw_room_unload(room);
	return (struct dw_op) { .kind = DW_OP_LOAD, .read.summary = { .head_at = now, .oldest_n = 1 } };
}

static inline void
load_cursor(struct dw_op *load, const struct dw_cursor *cursor)
{
	dw_buf_add(&load->read.cursors, cursor, sizeof(*cursor));
}

static inline void
load_user(struct dw_op *load, const char *name, uint64_t own)
{
	struct dw_user_row row = { .own = own };

	assert_true(dw_str_copy(dw_str(name), row.user, sizeof(row.user)));
	dw_buf_add(&load->read.users, &row, sizeof(row));
}

static inline void
finish_load(struct dw_op *load, int err)
{
	assert_int_equal(dw_room_load(room, load, now), err);
	head = load->read.summary.head;
	dw_op_clear(load);
}

#endif
