/* hub */
/* libs: msgpack jansson libcrypto */
/* The hub with a thousand of everything and with ten thousand: rooms, each with a user connected in it; clients, each
 * waiting for a message of its to be delivered. What is asked all the time, and what is done without being asked, must
 * cost the same: a call of /ws/status (STAT summary), a readiness probe (the edge's PING, which it answers from), a
 * tick, and one more device's confirmation. `hub-slice` is one of a sorted view of all rooms: what others wait for at
 * most. */
#include "../lib/hub_kit.h"
#include "hot.h"

enum { EDGE = 1, CLIENT = 2 };

static unsigned rooms;

/* The engine's twin looks through all it has for each room; here each room gets one message, and nothing is ever read.
 */
static int
commit(struct dw_engine *engine, struct dw_op **ops, size_t count, struct dw_fault *fault)
{
	static uint64_t seq;

	(void)engine;
	(void)fault;
	for (size_t i = 0; i < count; i++) {
		struct dw_op *op = ops[i];

		op->err = DW_OK;
		if (op->kind != DW_OP_APPEND)
			continue;
		op->append.seq = ++seq;
		op->append.n = op->append.room_n = 1;
		dw_record_pack(&op->append.record, &(struct dw_record) { .seq = seq,
											   .n = 1,
											   .at = op->append.at,
											   .type = dw_str(op->append.type),
											   .id = dw_str(op->append.id),
											   .data = { op->append.data, op->append.size } });
	}
	return DW_OK;
}

static void
info(struct dw_engine *engine, struct dw_engine_info *out)
{
	(void)engine;
	(void)out;
}

static void
close_none(struct dw_engine *engine)
{
	(void)engine;
}

static const struct dw_engine_ops ops = { .commit = commit, .info = info, .close = close_none };
static struct dw_engine engine = { &ops };

static const char *
name_of(unsigned i)
{
	static char name[16];

	(void)snprintf(name, sizeof(name), "%u", i);
	return name;
}

/* So many more, up to `count`. */
static void
fill(unsigned count)
{
	for (; rooms < count; rooms++) {
		const char *name = name_of(rooms);

		kit_hello(CLIENT + 1 + rooms, DW_PEER_CLIENT);
		kit_join(EDGE, rooms + 1, name, name, "phone");
		kit_publish(CLIENT + 1 + rooms, 1, name, 1);
		if (rooms % 256 == 0)
			kit_settle();
	}
	kit_settle();
	MUST(hub.rooms_shared.watched == count + 1 && hub.waiting == count && hub.rooms_shared.queued == count);
}

static void
status(void)
{
	struct dw_wire answer;

	kit_stat(EDGE, 1, "summary", "", "", 1);
	outbox_flush(&hub);
	MUST(kit_heard(&answer) && answer.kind == DW_TABLE && answer.table.code == 0);
}

static void
probe(void)
{
	struct dw_wire answer;

	kit_say(EDGE, &(struct dw_wire) { .kind = DW_PING, .ping = { 1 } });
	outbox_flush(&hub);
	MUST(kit_heard(&answer) && answer.kind == DW_PONG);
}

static void
tick(void)
{
	peers_tick(&hub);
	rooms_begin_cursors(&hub);
	hub.cursor_rooms = 0;
	MUST(!dw_wheel_run(&hub.wheel, dw_mono_ms(), HUB_TIMERS));
	MUST(!scans_turn(&hub));
}

/* Of one that is there besides, and of a message that is. */
static void
confirm(void)
{
	static struct dw_buf sessions;
	struct dw_room *room = room_find(&hub, DW_STR("besides"));
	struct dw_record record = { .seq = room->head + 1,
		.n = room->n + 1,
		.at = dw_now_ms(),
		.type = DW_STR("a_update"),
		.id = DW_STR("i"),
		.data = DW_STR("{}") };
	static struct dw_buf bytes;

	dw_buf_reset(&bytes);
	dw_record_pack(&bytes, &record);
	MUST(dw_room_append(room, &record, (struct dw_str) { bytes.data, bytes.len }, record.at) == DW_OK);
	dw_buf_reset(&sessions);
	dw_session_pack(&sessions, UINT32_MAX);
	kit_say(EDGE, &(struct dw_wire) { .kind = DW_CONFIRM,
					  .confirm = { .room = DW_STR("besides"),
						  .at = dw_position_said(record.seq, record.n, 0),
						  .sessions = { sessions.data, sessions.len } } });
}

static void
slice(void)
{
	MUST(scans_turn(&hub));
}

static void
measure(const char *of, unsigned count)
{
	static const struct {
		const char *name;
		void (*path)(void);
	} paths[] = { { "status", status }, { "probe", probe }, { "tick", tick }, { "confirm", confirm } };
	char name[64];

	fill(count);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		(void)snprintf(name, sizeof(name), "hub-%s-of-%s", paths[i].name, of);
		hot(name, 10, 100, paths[i].path);
	}
}

int
main(void)
{
	MUST(kit_start(&engine));
	kit_hello(EDGE, DW_PEER_EDGE);
	kit_join(EDGE, UINT32_MAX, "besides", "ann", "phone");
	kit_settle();
	measure("1000", 999);
	measure("10000", 9999);
	kit_stat(EDGE, 1, "rooms", "", "queued", 100);
	hot("hub-slice", 2, 5, slice);
	kit_end();
	dw_buf_clear(&said.frame);
	return 0;
}
