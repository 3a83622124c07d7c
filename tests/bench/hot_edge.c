/* links: cmd/diagws-edge/room/frame.c */
/* libs: msgpack jansson libcrypto */
/* The edge: a record becomes a frame in a room's ring, once; each client takes the run behind its position and answers
 * a PING. */
#include "../../cmd/diagws-edge/room/frame.h"
#include "base/ring.h"
#include "hot.h"
#include "message/msg.h"

enum { RING_BYTES = 256 * 1024, RUN = 8 };

static struct dw_ring *ring;
static struct dw_buf json, frame, ping;
static struct dw_record record = { .at = 1700000000000,
	.type = DW_STR("effectiveness_update"),
	.id = DW_STR("8f14e45fceea167a5a36dedd4bea2543"),
	.data = DW_STR(HOT_DATA) };

static void
take(void)
{
	struct dw_ring_entry entry = { .seq = ++record.seq, .n = ++record.n };

	dw_buf_reset(&json);
	dw_buf_reset(&frame);
	dw_record_to_json(&json, DW_STR("123"), &record);
	frame_text(&frame, (struct dw_str) { json.data, json.len });
	MUST(dw_ring_append(ring, &entry, frame.data, frame.len) == DW_OK);
}

static void
run(void)
{
	uint64_t index = dw_ring_end(ring) - RUN, next;

	while (index < dw_ring_end(ring)) {
		MUST(dw_ring_run_to(ring, index, SIZE_MAX, 0, &next).n > 0);
		index = next;
	}
}

static void
pong(void)
{
	static const struct frame_key key = { { 1, 2 }, 3 };
	struct dw_position at;

	if (ping.len == 0)
		frame_ping(&ping, dw_position_said(1, 1, 0), &key);
	MUST(frame_pong(ping.data + 2, ping.len - 2, &key, &at) && dw_seq(at) == 1);
}

int
main(void)
{
	ring = dw_ring_new(UINT32_MAX, RING_BYTES);
	MUST(ring != NULL && frame_open());
	hot("edge-take", 2000, 2000, take);
	hot("edge-run-of-8", 10, 2000, run);
	hot("edge-pong", 10, 2000, pong);
	dw_ring_destroy(&ring);
	dw_buf_clear(&json);
	dw_buf_clear(&frame);
	return 0;
}
