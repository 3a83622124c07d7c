/* libs: msgpack */
/* What hub, edges and senders say to each other: packed and unpacked; and records, as they are stored and sent. */
#include "hot.h"
#include "wire/wire.h"

enum { RECORDS = 8, SESSIONS = 100 };

static const struct dw_record record = { .seq = 123456789,
	.n = 12345,
	.at = 1700000000000,
	.type = DW_STR("effectiveness_update"),
	.id = DW_STR("8f14e45fceea167a5a36dedd4bea2543"),
	.data = DW_STR(HOT_DATA) };

static struct dw_buf out, records;
static char sessions[SESSIONS * 8];
static struct dw_wire message;

static void
record_pack(void)
{
	dw_buf_reset(&out);
	dw_record_pack(&out, &record);
}

static void
record_next(void)
{
	struct dw_str rest = { out.data, out.len };
	struct dw_record got;

	MUST(dw_record_next(&rest, &got) == DW_OK);
}

static void
pack(void)
{
	dw_buf_reset(&out);
	dw_wire_pack(&out, &message);
}

static void
unpack(void)
{
	struct dw_fault fault;
	struct dw_wire got;

	MUST(dw_wire_unpack(&got, out.data, out.len, &fault) == DW_OK);
}

static void
both(const char *name)
{
	char title[40];

	(void)snprintf(title, sizeof(title), "wire-pack-%s", name);
	hot(title, 100, 2000, pack);
	(void)snprintf(title, sizeof(title), "wire-unpack-%s", name);
	hot(title, 100, 2000, unpack);
}

int
main(void)
{
	hot("record-pack", 100, 2000, record_pack);
	hot("record-next", 100, 2000, record_next);
	for (int i = 0; i < RECORDS; i++)
		dw_record_pack(&records, &record);
	message = (struct dw_wire) { .kind = DW_PUBLISH,
		.publish = { .corr = 1000, .room = DW_STR("123"), .type = record.type, .id = record.id, .data = record.data } };
	both("publish");
	message = (struct dw_wire) { .kind = DW_STORED,
		.stored = { .corr = 1000, .seq = record.seq, .n = record.n, .notified = 1000, .text = DW_STR("") } };
	both("stored");
	message = (struct dw_wire) { .kind = DW_MESSAGES,
		.messages = { .room = DW_STR("123"),
			.prev = dw_position_said(record.seq, record.n, 0),
			.records = { records.data, records.len } } };
	both("messages-of-8");
	message = (struct dw_wire) { .kind = DW_CONFIRM,
		.confirm = { .room = DW_STR("123"),
			.at = dw_position_said(record.seq, record.n, 0),
			.sessions = { sessions, sizeof(sessions) } } };
	both("confirm-of-100");
	dw_buf_clear(&out);
	dw_buf_clear(&records);
	return 0;
}
