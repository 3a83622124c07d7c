/* libs: msgpack */
/* A room of the hub with 100 devices connected through one edge: a message is appended, the edge's share is read, each
 * session confirms and its cursor is taken to be written. */
#include "hot.h"
#include "room/room.h"
#include "wire/wire.h"

enum { DEVICES = 100, NOW = 1000000000, STEP_MS = 300 };

static struct dw_rooms all = { .queue_limit = 100,
	.queue_ttl_ms = 7 * 86400000ULL,
	.cursor_ttl_ms = 30 * 86400000ULL,
	.ownership = DW_OWNERSHIP_EITHER };
static struct dw_room *room;
static struct dw_session *sessions[DEVICES];
static struct dw_buf packed, out;
static struct dw_record record = { .at = NOW,
	.type = DW_STR("effectiveness_update"),
	.id = DW_STR("8f14e45fceea167a5a36dedd4bea2543"),
	.data = DW_STR(HOT_DATA) };

static void
append(void)
{
	record.seq += 10;
	record.n++;
	record.at += STEP_MS;
	dw_buf_reset(&packed);
	dw_record_pack(&packed, &record);
	MUST(dw_room_append(room, &record, (struct dw_str) { packed.data, packed.len }, record.at) == DW_OK);
}

static void
read_newest(void)
{
	struct dw_position at = dw_position_said(record.seq - 80, record.n - 8, 0);

	dw_buf_reset(&out);
	MUST(!dw_room_read(room, NULL, &at, SIZE_MAX, DW_WIRE_BATCH_MAX, record.at, &out) && dw_seq(at) == record.seq);
}

/* With the message that there is to confirm. */
static void
confirm_all(void)
{
	append();
	for (int i = 0; i < DEVICES; i++)
		MUST(dw_room_confirm(room, sessions[i], dw_position_said(record.seq, record.n, 0), NULL, false, record.at));
}

static void
settle(void)
{
	struct dw_cursor cursor;

	confirm_all();
	dw_room_settle(room, record.at);
	while (dw_room_take_cursor(room, record.at, &cursor))
		;
}

static void
join(unsigned number)
{
	const struct dw_join_context context = { 1, "0123456789abcdef0123456789abcdef", record.seq, record.at, record.at,
		NULL };
	char user[16], device[16];
	struct dw_join asked = { .session = number + 1, .room = DW_STR("123"), .flags = DW_JOIN_CLAIMED };
	struct dw_joined joined = { 0 };

	(void)snprintf(user, sizeof(user), "user-%u", number / 10);
	(void)snprintf(device, sizeof(device), "device-%u", number);
	asked.user = dw_str(user);
	asked.device = dw_str(device);
	MUST(dw_room_join(room, &asked, &context, &joined, &sessions[number]) == DW_OK);
}

int
main(void)
{
	struct dw_op load = { .kind = DW_OP_LOAD };

	room = dw_room_new(&all, "123");
	MUST(room != NULL && dw_room_load(room, &load, NOW) == DW_OK);
	for (unsigned i = 0; i < DEVICES; i++)
		join(i);
	hot("room-append", 300, 2000, append);
	hot("room-read-8", 10, 500, read_newest);
	hot("room-confirm-by-100", 100, 100, confirm_all);
	hot("room-settle-100", 100, 100, settle);
	dw_room_destroy(&room);
	dw_buf_clear(&packed);
	dw_buf_clear(&out);
	return 0;
}
