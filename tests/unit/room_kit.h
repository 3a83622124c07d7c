/* A room for tests: what is published into it, who joins, where they stand. Pure memory; time is two numbers, for
 * `now` may be set by anybody and `steady` only goes on. All messages have seq 10, 20, 30, …, be they direct or not.
 */
#ifndef ROOM_KIT_H
#define ROOM_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "room/room.h"

enum { NOW = 1000000000, LIMIT = 5, TTL = 1000000, CURSOR_TTL = 3000000, EDGE = 7, USERS = 16 };

static const char EPOCH[] = "0123456789abcdef0123456789abcdef";

static struct dw_rooms all;
static struct dw_room *room;
static uint64_t now, steady, head, room_n;
static const struct dw_place *place; /* the engine's answer for the next join */

/* The users of direct messages, and their last numbers. */
static struct {
	const char *name;
	uint64_t own;
} users[USERS];

static inline int
set_up(void **state)
{
	struct dw_op load = { .kind = DW_OP_LOAD };

	(void)state;
	all = (struct dw_rooms) {
		.queue_limit = LIMIT, .queue_ttl_ms = TTL, .cursor_ttl_ms = CURSOR_TTL, .ownership = DW_OWNERSHIP_EITHER
	};
	now = NOW;
	steady = 777;
	head = room_n = 0;
	place = NULL;
	memset(users, 0, sizeof(users));
	room = dw_room_new(&all, "123");
	assert_non_null(room);
	assert_int_equal(dw_room_load(room, &load, now), DW_OK);
	return 0;
}

static inline int
tear_down(void **state)
{
	(void)state;
	dw_room_destroy(&room);
	return 0;
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

static inline void
publish(const char *to, uint64_t except, uint64_t expires_at)
{
	struct dw_record record = { .at = now,
		.type = DW_STR("a_update"),
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
	record.own = to[0] != '\0' ? next_own(to) : 0;
	dw_record_pack(&bytes, &record);
	assert_int_equal(dw_room_append(room, &record, (struct dw_str) { bytes.data, bytes.len }, now), DW_OK);
	dw_buf_clear(&bytes);
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

static inline struct dw_session *
join(const struct dw_join *asked, struct dw_joined *joined)
{
	const struct dw_join_context context = { EDGE, EPOCH, head, now, steady, place };
	struct dw_session *session = NULL;

	*joined = (struct dw_joined) { 0 };
	assert_int_equal(dw_room_join(room, asked, &context, joined, &session), DW_OK);
	return session;
}

static inline struct dw_session *
join_as(uint64_t id, const char *user, const char *device, uint64_t flags, uint64_t after, struct dw_joined *joined)
{
	return join(&(struct dw_join) { .session = id,
					.room = DW_STR("123"),
					.user = dw_str(user),
					.device = dw_str(device),
					.flags = flags,
					.after = dw_position_said(after, 0, 0) },
		joined);
}

static inline void
leave(struct dw_session *session)
{
	struct dw_reader *reader = session->reader;

	dw_room_leave(room, session, now, steady);
	if (reader->session_count == 0)
		dw_room_drop_reader(room, reader);
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

#endif
