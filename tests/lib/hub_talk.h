/* Peers that talk with the hub of hub_kit.h, in a time of the test's own: an edge, another one, a sender and an
 * administrator; what each is told, in order; what a device confirms; time that passes.
 *
 * Its own file because hub_kit.h also serves drivers that measure. All that the hub says is kept until the test looks
 * at it, and at the end of a test nothing may be left: so what is said to the wrong one, twice, or too early is found
 * without a test for it. Who includes this says in its head `hub`, and `wraps: dw_now_ms dw_mono_ms dw_mono_us`.
 *
 * Everything is about room "1" unless a test says otherwise. A first message has seq 1 and n 1.
 */
#ifndef HUB_TALK_H
#define HUB_TALK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <utlist.h>

#include "hub_kit.h"

enum { EDGE = 1, OTHER_EDGE, SENDER, ADMIN, FIRST_FREE };
enum { LIMIT = 5, SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

/* ---- time */

#define SINCE_1970 1800000000000ULL

static uint64_t talk_ms; /* of the clock that nobody sets */

uint64_t __wrap_dw_now_ms(void);
uint64_t __wrap_dw_mono_ms(void);
uint64_t __wrap_dw_mono_us(void);

uint64_t
__wrap_dw_now_ms(void)
{
	return SINCE_1970 + talk_ms;
}

uint64_t
__wrap_dw_mono_ms(void)
{
	return talk_ms;
}

uint64_t
__wrap_dw_mono_us(void)
{
	return talk_ms * 1000;
}

/* Timers fire; silent peers are another thing (peers_tick). */
static inline void
pass(uint64_t ms)
{
	talk_ms += ms;
	kit_settle();
}

/* ---- what was said */

struct word {
	struct word *prev, *next;
	uint32_t peer;
	struct dw_wire message;
	char bytes[];
};

static struct word *talk_said, *talk_heard;

static inline void
talk_catch(uint32_t peer, const void *frame, size_t n)
{
	struct dw_str rest = { frame, n };
	struct dw_wire message;

	while (rest.n > 0) {
		const struct dw_str before = rest;
		struct word *word;

		assert_int_equal(DW_OK, dw_wire_next(&rest, &message, NULL));
		word = malloc(sizeof(*word) + before.n - rest.n);
		assert_non_null(word);
		word->peer = peer;
		memcpy(word->bytes, before.p, before.n - rest.n);
		assert_int_equal(DW_OK, dw_wire_unpack(&word->message, word->bytes, before.n - rest.n, NULL));
		DL_APPEND(talk_said, word);
	}
}

static inline struct word *
next_word(uint32_t peer)
{
	struct word *word;

	DL_FOREACH(talk_said, word)
	{
		if (word->peer == peer)
			break;
	}
	return word;
}

static inline const struct dw_wire *
hear_word(uint32_t peer, enum dw_wire_kind kind, const char *file, int line)
{
	struct word *word = next_word(peer);

	if (word == NULL || word->message.kind != kind) {
		print_error(
			"peer %u should be told %d, and is told %d\n", peer, (int)kind, word != NULL ? (int)word->message.kind : 0);
		_fail(file, line);
		return NULL;
	}
	DL_DELETE(talk_said, word);
	DL_APPEND(talk_heard, word);
	return &word->message;
}

/* The next message to this peer: at once, and when all that is under way is done. It is good until the test ends. */
#define told_at_once(peer, kind) (turn_send(&hub), hear_word(peer, kind, __FILE__, __LINE__))
#define told(peer, kind) (kit_settle(), hear_word(peer, kind, __FILE__, __LINE__))
#define told_nothing(peer) (kit_settle(), assert_null(next_word(peer)))

static inline void
free_words(struct word **words)
{
	struct word *word, *next;

	DL_FOREACH_SAFE(*words, word, next)
	{
		free(word);
	}
	*words = NULL;
}

/* What was said up to now is not of interest. */
static inline void
forget_said(void)
{
	kit_settle();
	free_words(&talk_said);
}

#define assert_text(want, got)                                       \
	do {                                                             \
		const struct dw_str got_ = (got);                            \
                                                                     \
		assert_int_equal(strlen(want), got_.n);                      \
		assert_memory_equal(want, got_.n > 0 ? got_.p : "", got_.n); \
	} while (0)

#define assert_position(seq, n, own, at)   \
	do {                                   \
		assert_int_equal(seq, dw_seq(at)); \
		assert_int_equal(n, dw_n(at));     \
		assert_int_equal(own, dw_own(at)); \
	} while (0)

#define assert_gap(want_from, want_to, want_reason, gap) \
	do {                                                 \
		assert_int_equal(want_from, (gap).from);         \
		assert_int_equal(want_to, (gap).to);             \
		assert_int_equal(want_reason, (gap).reason);     \
	} while (0)

/* "1 2 3": the seqs of records. */
static inline const char *
seqs_of(struct dw_str records)
{
	static char text[512];
	struct dw_record record;
	size_t n = 0;

	text[0] = '\0';
	while (dw_record_next(&records, &record) == DW_OK && n < sizeof(text) - 24)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%llu", n > 0 ? " " : "", (unsigned long long)record.seq);
	return text;
}

/* ---- what peers say */

/* Of what the message leaves out: its room and its corr (the session's number); the user's token names the room. */
static inline void
join_as(uint32_t edge, struct dw_join join)
{
	join.room = join.room.n > 0 ? join.room : DW_STR("1");
	join.corr = join.corr > 0 ? join.corr : join.session;
	join.flags |= DW_JOIN_CLAIMED;
	kit_say(edge, &(struct dw_wire) { .kind = DW_JOIN, .join = join });
}

/* And is let in. */
static inline const struct dw_joined *
joins(uint32_t edge, uint64_t session, const char *user, const char *device)
{
	const struct dw_wire *answer;

	join_as(edge, (struct dw_join) { .session = session, .user = dw_str(user), .device = dw_str(device) });
	answer = told(edge, DW_JOINED);
	assert_int_equal(session, answer->joined.session);
	assert_int_equal(0, answer->joined.code);
	return &answer->joined;
}

static inline void
publish_as(uint32_t peer, struct dw_publish publish)
{
	publish.room = publish.room.n > 0 ? publish.room : DW_STR("1");
	publish.type = publish.type.n > 0 ? publish.type : DW_STR("a_update");
	publish.data = publish.data.n > 0 ? publish.data : DW_STR("{}");
	kit_say(peer, &(struct dw_wire) { .kind = DW_PUBLISH, .publish = publish });
}

static inline const struct dw_stored *
publishes_as(struct dw_publish publish)
{
	publish_as(SENDER, publish);
	return &told(SENDER, DW_STORED)->stored;
}

/* To everyone; its seq. */
static inline uint64_t
publishes(void)
{
	const struct dw_stored *stored = publishes_as((struct dw_publish) { .corr = 1 });

	assert_int_equal(0, stored->code);
	return stored->seq;
}

static inline void
publish_many(size_t count)
{
	while (count-- > 0)
		(void)publishes();
}

static inline void
confirm_as(uint32_t edge, uint64_t session, struct dw_confirm confirm)
{
	struct dw_buf sessions = { 0 };

	dw_session_pack(&sessions, session);
	confirm.room = DW_STR("1");
	confirm.sessions = (struct dw_str) { sessions.data, sessions.len };
	kit_say(edge, &(struct dw_wire) { .kind = DW_CONFIRM, .confirm = confirm });
	dw_buf_clear(&sessions);
}

static inline void
confirms(uint32_t edge, uint64_t session, uint64_t seq, uint64_t n, uint64_t own)
{
	confirm_as(edge, session, (struct dw_confirm) { .at = dw_position_said(seq, n, own) });
}

static inline void
leave_as(uint32_t edge, struct dw_leave leave)
{
	leave.room = DW_STR("1");
	kit_say(edge, &(struct dw_wire) { .kind = DW_LEAVE, .leave = leave });
}

static inline void
read_as(uint32_t edge, struct dw_read read)
{
	read.room = read.room.n > 0 ? read.room : DW_STR("1");
	read.limit = read.limit > 0 ? read.limit : 100;
	kit_say(edge, &(struct dw_wire) { .kind = DW_READ, .read = read });
}

static inline void
own_as(uint32_t peer, struct dw_own own)
{
	own.room = own.room.n > 0 ? own.room : DW_STR("1");
	kit_say(peer, &(struct dw_wire) { .kind = DW_OWN, .own = own });
}

static inline void
owns(const char *verb, const char *user)
{
	own_as(ADMIN, (struct dw_own) { .corr = 1, .verb = dw_str(verb), .user = dw_str(user) });
	assert_int_equal(0, told(ADMIN, DW_OWNED)->owned.code);
}

/* How far the device has got by the store, where the cursors that changed are written now; seen 0: there is none. */
static inline int
keep_cursor(void *user, const struct dw_cursor *cursor)
{
	struct dw_cursor *wanted = user;

	if (strcmp(wanted->user, cursor->user) == 0 && strcmp(wanted->device, cursor->device) == 0)
		*wanted = *cursor;
	return DW_OK;
}

static inline struct dw_cursor
stored_cursor(const char *user, const char *device)
{
	struct dw_cursor cursor = { 0 };

	(void)dw_str_copy(dw_str(user), cursor.user, sizeof(cursor.user));
	(void)dw_str_copy(dw_str(device), cursor.device, sizeof(cursor.device));
	(void)hub.engine->ops->scan(hub.engine, NULL, keep_cursor, &cursor);
	return cursor;
}

static inline void
write_cursors(void)
{
	rooms_begin_cursors(&hub);
	kit_settle();
}

/* ---- tests: each has a hub that has stored nothing, whom the four have said HELLO */

static inline void
say_hellos(void)
{
	kit_hello(EDGE, DW_PEER_EDGE);
	kit_hello(OTHER_EDGE, DW_PEER_EDGE);
	kit_hello(SENDER, DW_PEER_CLIENT);
	kit_hello(ADMIN, DW_PEER_CLIENT);
	forget_said();
}

static inline int
set_up_talk(void **state)
{
	(void)state;
	talk_ms = DAY;
	kit_catch = talk_catch;
	kit_deaf = kit_lost = kit_strange = UINT32_MAX;
	kit_roles = ROLE_ALL;
	kit_gone = kit_drained = kit_closed = 0;
	kit_why = NULL;
	kit_fails = DW_OK;
	kit_options = (struct options) { .queue_limit = LIMIT, .memory_limit = INT64_MAX, .max_sessions = INT32_MAX };
	if (!kit_start(NULL))
		return -1;
	say_hellos();
	return 0;
}

/* Another hub on the same store; the four are there again. */
static inline void
restart_hub(void)
{
	kit_settle();
	assert_null(talk_said);
	assert_true(kit_start(kit_stop()));
	assert_int_equal(DW_OK, rooms_start(&hub));
	say_hellos();
}

static inline int
tear_down_talk(void **state)
{
	int result = 0;

	(void)state;
	kit_settle();
	if (talk_said != NULL) {
		print_error("peer %u was told %d, which nobody looked at\n", talk_said->peer, (int)talk_said->message.kind);
		result = -1;
	}
	kit_end();
	free_words(&talk_said);
	free_words(&talk_heard);
	return result;
}

#define TALK(name) cmocka_unit_test_setup_teardown(name, set_up_talk, tear_down_talk)

#endif
