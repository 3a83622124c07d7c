/* What a hub stages for whom: a right is looked up before a room is made or loaded, and nobody has more than a share.
 */
/* links: cmd/diagws-hub/rooms/question.c cmd/diagws-hub/rooms/later.c */
/* links: cmd/diagws-hub/store/stage.c */
/* links: lib/wire/wire.c lib/wire/msgpack.c lib/base/buf.c lib/base/err.c */
/* links: lib/store/engine.c lib/message/msg.c lib/base/utf8.c lib/json/json.c lib/json/json_plain.c */
/* libs: msgpack jansson */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../../cmd/diagws-hub/hub.h"
#include "base/clock.h"
#include "peers/outbox.h"
#include "peers/peers.h"
#include "rooms/load.h"
#include "rooms/question.h"
#include "rooms/rooms.h"
#include "store/stage.h"
#include "store/store.h"

enum { PEERS = 5 };

static struct hub hub;
static struct batch batches[2], *given;
static struct peer peers[PEERS];
static struct dw_room the_room;
static bool is_known, is_resident, may;
static size_t made, waited, dispatched;
static int told;
static uint64_t now_us;

/* ---- what is around */

struct dw_room *
room_find(struct hub *unused, struct dw_str name)
{
	(void)unused;
	(void)name;
	return is_known ? &the_room : NULL;
}

struct dw_room *
room_get(struct hub *unused, struct dw_str name)
{
	(void)unused;
	(void)name;
	made++;
	return &the_room;
}

bool
dw_room_resident(const struct dw_room *room)
{
	(void)room;
	return is_resident;
}

bool
dw_room_may(const struct dw_room *room, struct dw_str user, bool claimed)
{
	(void)room;
	(void)user;
	(void)claimed;
	return may;
}

bool
room_waits(const struct dw_room *room)
{
	(void)room;
	return false;
}

int
room_wait(struct hub *unused, struct dw_room *room, struct peer *peer, struct dw_str frame)
{
	(void)unused;
	(void)room;
	(void)peer;
	assert_true(frame.n > 0);
	waited++;
	return DW_OK;
}

void
room_done(struct hub *unused, struct dw_room *room)
{
	(void)unused;
	(void)room;
}

void
room_hold(struct hub *unused, struct dw_room *room)
{
	(void)unused;
	(void)room;
}

void
room_unhold(struct hub *unused, struct dw_room *room)
{
	(void)unused;
	(void)room;
}

static void
dispatch(struct hub *unused, struct peer *peer, struct request *request)
{
	(void)unused;
	(void)peer;
	assert_true(request->again);
	dispatched++;
}

void
answer_failure(struct hub *unused, uint32_t peer, const struct dw_wire *request, int err, const char *text)
{
	(void)unused;
	(void)peer;
	(void)request;
	assert_null(text);
	told = err;
}

struct peer *
peer_find(struct hub *unused, uint32_t number)
{
	(void)unused;
	return number < PEERS && peers[number].known ? &peers[number] : NULL;
}

bool
store_idle(const struct store *store)
{
	(void)store;
	return given == NULL;
}

void
store_give(struct store *store, struct batch *batch)
{
	(void)store;
	given = batch;
}

uint64_t
dw_mono_us(void)
{
	return now_us;
}

uint64_t
dw_mono_ms(void)
{
	return now_us / 1000;
}

/* ---- the hub */

static int
set_up(void **state)
{
	(void)state;
	hub = (struct hub) { .batch = &batches[0], .spare = &batches[1], .batch_number = 1 };
	for (uint32_t i = 0; i < PEERS; i++)
		peers[i] = (struct peer) { .number = i, .known = true, .incarnation = 1 };
	given = NULL;
	is_known = is_resident = may = false;
	made = waited = dispatched = 0;
	told = DW_OK;
	now_us = 1000000;
	return 0;
}

static void
free_operations(struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		if (batch->ops[i] != NULL)
			stage_free(&hub, (struct staged *)(void *)batch->ops[i]);
	free(batch->ops);
	*batch = (struct batch) { 0 };
}

static int
tear_down(void **state)
{
	(void)state;
	for (int i = 0; i < PEERS; i++)
		stage_forget(&hub, &peers[i]);
	free_operations(&batches[0]);
	free_operations(&batches[1]);
	dw_buf_clear(&hub.outbox.scratch);
	assert_int_equal(0, hub.staged_bytes);
	assert_null(hub.asked);
	assert_null(hub.lobbies);
	return 0;
}

static int
publish(struct peer *peer, size_t size)
{
	struct staged *staged;

	if (stage_full(&hub, peer, size))
		return DW_E_BUSY;
	staged = stage_new(DW_OP_APPEND, DW_STR("123"));
	assert_non_null(staged);
	staged->op.append.data = malloc(size);
	staged->op.append.size = size;
	return stage_add(&hub, peer, staged);
}

/* How much it gets in until it is refused. */
static size_t
flood(struct peer *peer, size_t size)
{
	size_t bytes = 0;

	while (publish(peer, size) == DW_OK)
		bytes += size;
	/* By its requests it might have more. */
	assert_true(peer->pending < HUB_PENDING_MAX);
	return bytes;
}

static void
assert_near(size_t want, size_t got)
{
	assert_in_range(got, want * 9 / 10, want * 11 / 10);
}

/* ---- shares */

static void
test_one_who_floods_has_half(void **state)
{
	(void)state;
	assert_near(HUB_STAGED_MAX / 2, flood(&peers[0], 64 * 1024));
	assert_int_equal(DW_OK, publish(&peers[1], 64 * 1024));
	assert_int_equal(DW_E_BUSY, publish(&peers[0], 64 * 1024));
	assert_near(HUB_STAGED_MAX / 4, flood(&peers[1], 64 * 1024));
	assert_int_equal(DW_OK, publish(&peers[2], 64 * 1024));
}

static void
test_three_who_flood_have_a_quarter_each(void **state)
{
	size_t bytes[3] = { 0 };
	bool any = true;

	(void)state;
	while (any) {
		any = false;
		for (int i = 0; i < 3; i++) {
			if (publish(&peers[i], 64 * 1024) != DW_OK)
				continue;
			bytes[i] += 64 * 1024;
			any = true;
		}
	}
	for (int i = 0; i < 3; i++)
		assert_near(HUB_STAGED_MAX / 4, bytes[i]);
	for (int i = 0; i < 64; i++)
		assert_int_equal(DW_OK, publish(&peers[3], 64 * 1024));
}

/* However many they are: who comes then finds room for something small. */
static void
test_a_thousand_who_flood_leave_something(void **state)
{
	size_t in = 0;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		in += publish(&peers[0], 256 * 1024) == DW_OK;
		stage_forget(&hub, &peers[0]); /* the next is another one */
	}
	assert_in_range(in, 200, 255);
	for (int i = 0; i < 100; i++)
		assert_int_equal(DW_OK, publish(&peers[1], 1024));
}

static void
test_what_is_staged_outlives_its_peer(void **state)
{
	size_t staged;

	(void)state;
	(void)flood(&peers[0], 64 * 1024);
	staged = hub.staged_bytes;
	/* It comes back under its old number, or another one. */
	stage_forget(&hub, &peers[0]);
	assert_int_equal(staged, hub.staged_bytes);
	assert_near(HUB_STAGED_MAX / 4, flood(&peers[0], 64 * 1024));
	free_operations(hub.batch);
	assert_int_equal(0, hub.staged_bytes);
	assert_near(HUB_STAGED_MAX / 2, flood(&peers[0], 64 * 1024));
}

/* What cannot be refused may take twice a share, and then no more of others. */
static void
test_what_is_not_refused(void **state)
{
	struct account *account;
	size_t kept = 0;

	(void)state;
	assert_false(stage_flooded(&hub, &peers[0]));
	(void)flood(&peers[0], 64 * 1024);
	assert_false(stage_flooded(&hub, &peers[0]));
	account = stage_account(&hub, &peers[0]);
	while (!stage_flooded(&hub, &peers[0])) {
		stage_count(&hub, account, 1024);
		kept += 1024;
	}
	assert_near(HUB_STAGED_MAX / 3 * 2, hub.staged_bytes);
	assert_int_equal(DW_OK, publish(&peers[1], 64 * 1024));
	/* Whom others have left nothing has not flooded them. */
	stage_count(&hub, account, HUB_STAGED_MAX);
	assert_true(stage_full(&hub, &peers[1], 1));
	assert_false(stage_flooded(&hub, &peers[1]));
	stage_uncount(&hub, account, HUB_STAGED_MAX + kept);
}

static void
test_a_part_of_the_batch(void **state)
{
	(void)state;
	assert_int_equal(DW_OK, publish(&peers[0], 1000));
	assert_false(stage_crowded(&hub, &peers[0]));
	assert_int_equal(DW_OK, publish(&peers[0], HUB_BATCH_ALONE));
	assert_true(stage_crowded(&hub, &peers[0]));
	assert_false(stage_crowded(&hub, &peers[1]));
	/* Handed over: the next one has room again. */
	stage_commit(&hub);
	assert_ptr_equal(&batches[0], given);
	assert_false(stage_crowded(&hub, &peers[0]));
	assert_int_equal(DW_OK, publish(&peers[0], 1000));
	assert_false(stage_crowded(&hub, &peers[0]));
	assert_int_equal(DW_OK, publish(&peers[0], HUB_BATCH_ALONE));
	now_us += HUB_STUCK_US - 1;
	assert_true(stage_crowded(&hub, &peers[0]));
	/* The store is stuck. */
	now_us++;
	assert_false(stage_crowded(&hub, &peers[0]));
}

/* Who sends much takes turns with its like; who sends a little rides with any of them. */
static void
test_turns_in_batches(void **state)
{
	(void)state;
	assert_int_equal(DW_OK, publish(&peers[0], HUB_BATCH_SHARED));
	assert_int_equal(DW_OK, publish(&peers[1], HUB_BATCH_SHARED));
	assert_int_equal(DW_OK, publish(&peers[2], 100));
	assert_true(stage_crowded(&hub, &peers[0]));
	assert_true(stage_crowded(&hub, &peers[1]));
	assert_false(stage_crowded(&hub, &peers[2]));
	stage_commit(&hub);
	assert_false(stage_crowded(&hub, &peers[0]));
	assert_false(stage_crowded(&hub, &peers[1]));
	assert_int_equal(DW_OK, publish(&peers[0], HUB_BATCH_SHARED));
	assert_true(stage_crowded(&hub, &peers[1]));
	assert_int_equal(DW_OK, publish(&peers[2], HUB_BATCH_LIGHT - 200));
	assert_false(stage_crowded(&hub, &peers[2]));
}

/* ---- rights */

static const struct request a_join = {
	.message = { .kind = DW_JOIN,
		.join = { .corr = 1, .session = 7, .room = { "123", 3 }, .user = { "eve", 3 }, .device = { "d", 1 } } }
};
static const struct request a_read = {
	.message = { .kind = DW_READ, .read = { .corr = 1, .room = { "123", 3 }, .user = { "eve", 3 }, .limit = 10 } }
};
static const struct request a_publish = { .message = { .kind = DW_PUBLISH,
											  .publish = { .corr = 1,
												  .room = { "123", 3 },
												  .user = { "eve", 3 },
												  .type = { "a_update", 8 },
												  .data = { "{}", 2 } } } };

/* What the registry says to the i-th of so many who ask. */
static void
find(size_t i, size_t count, enum dw_owner_state state)
{
	struct dw_owner_row row = { .state = state };
	struct staged *staged;

	assert_int_equal(count, hub.batch->count);
	staged = (struct staged *)(void *)hub.batch->ops[i];
	hub.batch->ops[i] = NULL;
	assert_int_equal(DW_OP_OWNERS, staged->op.kind);
	assert_int_equal(1, staged->op.read.limit);
	assert_string_equal("123", staged->op.room);
	assert_string_equal("eve", staged->op.read.user);
	if (state != DW_OWNER_NONE)
		dw_buf_add(&staged->op.read.owners, &row, sizeof(row));
	right_told(&hub, staged);
	if (staged->later.serve != NULL)
		later_add(&hub, &staged->later);
	else
		stage_free(&hub, staged);
	later_serve(&hub, dispatch);
}

static void
test_a_refusal_takes_one_look_whatever_the_room(void **state)
{
	static const struct {
		bool known, resident;
	} rooms[] = { { false, false }, { true, false }, { true, true } };
	static const struct request *const messages[] = { &a_join, &a_read, &a_publish };

	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		size_t bytes = 0;

		for (size_t j = 0; j < sizeof(rooms) / sizeof(rooms[0]); j++) {
			struct dw_room *room = NULL;

			(void)set_up(state);
			is_known = rooms[j].known;
			is_resident = rooms[j].resident;
			assert_int_equal(DW_E_AGAIN, right_check(&hub, &peers[0], messages[i], &room));
			assert_int_equal(DW_OK, told);
			assert_true(bytes == 0 || bytes == hub.staged_bytes);
			bytes = hub.staged_bytes;
			find(0, 1, DW_OWNER_NONE);
			assert_int_equal(DW_E_DENIED, told);
			assert_int_equal(0, made + waited + dispatched);
			assert_null(room);
			(void)tear_down(state);
		}
	}
	(void)set_up(state);
}

static void
test_who_may_goes_on(void **state)
{
	struct dw_room *room = NULL;

	(void)state;
	assert_int_equal(DW_E_AGAIN, right_check(&hub, &peers[0], &a_join, &room));
	find(0, 1, DW_OWNER_GRANTED);
	assert_int_equal(1, made);
	assert_int_equal(1, waited);
	/* Somebody else has had it loaded meanwhile. */
	assert_int_equal(DW_E_AGAIN, right_check(&hub, &peers[0], &a_join, &room));
	is_known = is_resident = true;
	find(1, 2, DW_OWNER_GRANTED);
	assert_int_equal(1, dispatched);
	assert_int_equal(DW_OK, told);
	/* Where the room knows, nobody is asked. */
	may = true;
	assert_int_equal(DW_OK, right_check(&hub, &peers[0], &a_join, &room));
	assert_ptr_equal(&the_room, room);
	assert_int_equal(2, hub.batch->count);
}

/* The room decides when it is there: rights may have changed. */
static void
test_what_is_carried_out_again_does_not_look_again(void **state)
{
	struct request again = a_join;
	struct dw_room *room = NULL;

	(void)state;
	is_known = is_resident = again.again = true;
	assert_int_equal(DW_E_DENIED, right_check(&hub, &peers[0], &again, &room));
	assert_int_equal(0, hub.batch->count);
}

static void
test_a_join_does_not_overtake_one_that_is_outside(void **state)
{
	struct request other = a_join;
	struct dw_room *room = NULL;

	(void)state;
	other.message.join.session = 8;
	assert_int_equal(DW_E_AGAIN, right_check(&hub, &peers[0], &a_join, &room));
	is_known = is_resident = may = true;
	assert_int_equal(DW_E_AGAIN, right_check(&hub, &peers[1], &other, &room));
	assert_int_equal(DW_OK, right_check(&hub, &peers[1], &a_read, &room));
	find(0, 2, DW_OWNER_GRANTED);
	find(1, 2, DW_OWNER_GRANTED);
	assert_int_equal(2, dispatched);
	assert_int_equal(DW_OK, right_check(&hub, &peers[1], &other, &room));
}

static void
test_nobody_waits_any_more(void **state)
{
	static const struct dw_str room_name = { "123", 3 };
	struct dw_room *room = NULL;

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(DW_E_AGAIN, right_check(&hub, &peers[i], &a_join, &room));
	asked_forget(&hub, &peers[0], 6, room_name, false);
	asked_forget(&hub, &peers[0], 7, DW_STR("12"), false);
	find(0, 4, DW_OWNER_GRANTED);
	assert_int_equal(1, waited);
	asked_forget(&hub, &peers[1], 7, room_name, false);
	peers[2].incarnation = 2;
	peers[3].known = false;
	for (int i = 1; i < 4; i++)
		find((size_t)i, 4, i == 1 ? DW_OWNER_NONE : DW_OWNER_GRANTED);
	assert_int_equal(1, waited);
	assert_int_equal(DW_OK, told);
}

/* A LEAVE that has waited itself is about an earlier coming. */
static void
test_a_leave_that_waited_takes_no_later_join_away(void **state)
{
	struct dw_room *room = NULL;

	(void)state;
	assert_int_equal(DW_E_AGAIN, right_check(&hub, &peers[0], &a_join, &room));
	asked_forget(&hub, &peers[0], 7, DW_STR("123"), true);
	find(0, 1, DW_OWNER_GRANTED);
	assert_int_equal(1, waited);
}

static void
test_the_end_of_a_hub(void **state)
{
	struct dw_room *room = NULL;

	(void)state;
	hub.closing = true;
	assert_int_equal(DW_E_AGAIN, right_check(&hub, &peers[0], &a_join, &room));
	assert_int_equal(0, hub.batch->count);
}

int
main(void)
{
#define EACH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		EACH(test_one_who_floods_has_half),
		EACH(test_three_who_flood_have_a_quarter_each),
		EACH(test_a_thousand_who_flood_leave_something),
		EACH(test_what_is_staged_outlives_its_peer),
		EACH(test_what_is_not_refused),
		EACH(test_a_part_of_the_batch),
		EACH(test_turns_in_batches),
		EACH(test_a_refusal_takes_one_look_whatever_the_room),
		EACH(test_who_may_goes_on),
		EACH(test_what_is_carried_out_again_does_not_look_again),
		EACH(test_a_join_does_not_overtake_one_that_is_outside),
		EACH(test_nobody_waits_any_more),
		EACH(test_a_leave_that_waited_takes_no_later_join_away),
		EACH(test_the_end_of_a_hub),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
