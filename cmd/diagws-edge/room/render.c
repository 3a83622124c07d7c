/* Entries of a ring: see rooms.h. That there is no memory the buffer says, or room_append. */
#include "rooms.h"

#include <string.h>

#include "base/clock.h"
#include "edge.h"
#include "room/frame.h"

void
room_render(struct rooms *rooms, struct dw_buf *out, const char *room, const struct dw_record *record)
{
	dw_buf_reset(&rooms->json);
	dw_record_to_json(&rooms->json, dw_str(room), record);
	frame_text(out, (struct dw_str) { rooms->json.data, rooms->json.len });
	out->failed |= rooms->json.failed;
}

void
room_render_gap(struct rooms *rooms, struct dw_buf *out, const char *room, struct dw_gap gap, bool direct)
{
	struct dw_buf *json = &rooms->json;
	char now[DW_TIME_SIZE];

	if (gap.reason == DW_GAP_NONE)
		return;
	dw_time_text(dw_now_ms(), now);
	dw_buf_reset(json);
	dw_buf_adds(json, "{\"type\":\"gap\",\"diagnosis_id\":");
	dw_id_to_json(json, dw_str(room));
	dw_buf_addf(json, ",\"timestamp\":\"%s\",\"data\":{\"from\":%llu,\"to\":%llu,\"count\":%llu,\"reason\":\"%s\"%s}}",
		now, (unsigned long long)gap.from, (unsigned long long)gap.to, (unsigned long long)(gap.to - gap.from + 1),
		dw_gap_text(gap.reason), direct ? ",\"direct\":true" : "");
	frame_text(out, (struct dw_str) { json->data, json->len });
	out->failed |= json->failed;
}

void
room_render_expired(struct rooms *rooms, struct dw_buf *out, const char *room, const struct dw_record *record)
{
	const bool direct = record->to.n > 0;
	const uint64_t number = direct ? record->own : record->n;

	room_render_gap(rooms, out, room, (struct dw_gap) { number, number, DW_GAP_EXPIRED }, direct);
}

/* Before a frame that is not for all, or not for ever: who gets it, until when. */
struct prefix {
	uint64_t except, expires_at, own;
	uint8_t to_size;
	char to[];
};

/* The most that a record takes in the ring. */
size_t
room_entry_most(const struct dw_record *record)
{
	return sizeof(struct prefix) + DW_USER_MAX + FRAME_HEADER_MAX + dw_rendered_most(record->data.n);
}

struct dw_str
room_condition(struct dw_str bytes, struct condition *condition)
{
	struct prefix prefix;
	const size_t fixed = offsetof(struct prefix, to);
	size_t size;

	memcpy(&prefix, bytes.p, fixed);
	size = fixed + prefix.to_size;
	condition->to = (struct dw_str) { bytes.p + fixed, prefix.to_size };
	condition->own = prefix.own;
	condition->except = prefix.except;
	condition->expires_at = prefix.expires_at;
	return (struct dw_str) { bytes.p + size, bytes.n - size };
}

bool
room_append(struct room *room, struct dw_position at, uint32_t flags)
{
	struct dw_buf *frame = &room->edge->rooms.frame;
	const struct dw_ring_entry entry = { .seq = dw_seq(at), .n = dw_n(at), .flags = flags };

	if (room->ring == NULL)
		room->ring = dw_ring_new(UINT32_MAX, LIMIT_RING);
	return room->ring != NULL && dw_buf_ok(frame) &&
		   dw_ring_append(room->ring, &entry, frame->data, frame->len) == DW_OK;
}

/* Its frame, and how it lies in the ring. Nothing for what nobody gets. */
uint32_t
room_render_entry(struct room *room, const struct dw_record *record)
{
	struct rooms *rooms = &room->edge->rooms;
	const bool not_kept = record->type.n == 0 && record->to.n > 0;
	const bool dead = record->to.n == 0 && dw_record_dead(record, dw_now_ms());
	const struct prefix prefix = { record->except, record->expires_at, record->own, (uint8_t)record->to.n };
	const bool plain = dead ? record->except == 0 : !not_kept && dw_record_plain(record);

	dw_buf_reset(&rooms->frame);
	if (!plain) {
		dw_buf_add(&rooms->frame, &prefix, offsetof(struct prefix, to));
		dw_buf_add(&rooms->frame, record->to.p, record->to.n);
	}
	if (dead || (not_kept && record->expires_at > 0))
		room_render_expired(rooms, &rooms->frame, room->id, record);
	else if (!not_kept) /* else its user asks the hub about it */
		room_render(rooms, &rooms->frame, room->id, record);
	return plain ? 0 : ENTRY_CONDITION;
}
