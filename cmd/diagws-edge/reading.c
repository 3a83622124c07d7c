/* How a watch gets what it has not got: from the room's ring, or, behind it, from the hub.
 *
 * Happy path: a run of ready frames from the ring goes out in one write, as often as the kernel takes it. A frame that
 * is not for all, or not for ever, ends a run and is looked at by itself.
 * Failure modes: a client that reads too slowly falls off the ring, and is fed (READ); what the hub no longer
 * has either is told as a gap. Invariants: nothing is written while the last write is unfinished, and no more than
 * WRITE_MAX or one frame at once, for that is what libwebsockets may have to keep; `at` is what was written.
 */
#include <string.h>

#include "confirm.h"
#include "conn.h"
#include "diagws/clock.h"
#include "edge.h"
#include "room.h"
#include "uplink.h"
#include "watch.h"

enum { WRITE_MAX = 16 * 1024 };
enum { OWN_WAY = ENTRY_CONDITION | ENTRY_HOLE }; /* does not go out as it is */

static bool
may_read(const struct watch *watch)
{
	return watch->state == WATCH_READING && watch->conn->state == CONN_OPEN && watch->conn->stalled_at == 0;
}

void
watch_stand(struct watch *watch, struct position at)
{
	const struct room *room = watch->room;

	watch->at = at;
	watch->behind = !room_covers(room, at.seq);
	watch->index = room->ring != NULL ? dw_log_after(room->ring, at.seq) : 0;
}

/* Behind the ring: the hub is asked for what follows our position. */
static void
ask_feed(struct watch *watch)
{
	struct dw_wire read = { .kind = DW_READ,
		.read = { .corr = watch->conn->session,
			.session = watch->conn->session,
			.room = dw_str(watch->room->id),
			.after = watch->at.seq,
			.after_n = watch->at.n,
			.limit = watch->feed } };

	/* One that returns to a busy hub is not counted by it before its JOIN has been asked again. */
	if (watch->asked || watch->again || !watch->joined)
		return;
	watch->state = WATCH_FEEDING;
	watch->asked_at = dw_mono_ms();
	watch->asked = uplink_send(watch->conn->edge->uplink, &read);
	watch_park(watch);
}

/* Frames that are passed over: it was fed beyond what the stream had brought, and they come again; or it was told of a
 * gap on joining, for the hub has those messages no longer, and the ring still has. */
static bool
is_next(const struct watch *watch, const struct dw_log_entry *entry)
{
	if ((entry->flags & ENTRY_PING) != 0)
		return entry->seq >= watch->at.seq && entry->n >= watch->at.n;
	return entry->seq > watch->at.seq && ((entry->flags & ENTRY_CONDITION) != 0 || entry->n > watch->at.n);
}

/* Finds the next entry for it. False: there is none yet. */
static bool
find_next(struct watch *watch)
{
	const struct room *room = watch->room;

	if (watch->behind || room->ring == NULL || watch->index < dw_log_first(room->ring)) {
		watch_stand(watch, watch->at);
		if (watch->behind)
			ask_feed(watch);
		if (watch->behind || room->ring == NULL)
			return false;
	}
	while (watch->index != dw_log_end(room->ring)) {
		if (is_next(watch, dw_log_entry(room->ring, watch->index)))
			return true;
		watch->index++;
	}
	return false;
}

/* Whether this client gets a message; it may be over its time. */
static bool
is_for(const struct watch *watch, struct dw_str to, uint64_t except)
{
	return (to.n == 0 || dw_str_is(to, watch->conn->user->name)) && (except == 0 || except != watch->conn->session);
}

/* An entry that does not go out as it is. */
static bool
write_entry(struct watch *watch, const struct dw_log_entry *entry)
{
	struct rooms *rooms = &watch->conn->edge->rooms;
	struct condition condition;
	struct dw_str frame = { NULL, 0 };
	struct dw_buf gap = { 0 };
	bool going = true;

	if ((entry->flags & ENTRY_HOLE) != 0) {
		room_render_gap(rooms, &gap, watch->room->id, watch->at.n + 1, entry->n, DW_GAP_SLOW);
		watch->begun = entry->seq;
	} else {
		frame = room_condition(dw_log_bytes(watch->room->ring, watch->index), &condition);
		if (!is_for(watch, condition.to, condition.except) ||
			(condition.to.n == 0 ? entry->n <= watch->at.n : entry->seq <= watch->direct_until))
			return true;
		if (condition.expires_at > 0 && dw_now_ms() >= condition.expires_at)
			room_render_expired(rooms, &gap, watch->room->id, entry->n, condition.to.n > 0);
	}
	if (gap.len > 0)
		frame = (struct dw_str) { gap.data, gap.len };
	if (dw_buf_ok(&gap))
		going = conn_write(watch->conn, frame);
	dw_buf_clear(&gap);
	return going;
}

/* A PING of the ring that asks others. One with several rooms is asked by its own. */
static bool
asks_others(const struct watch *watch, const struct dw_log_entry *entry)
{
	return (entry->flags & ENTRY_PING) != 0 && (watch->conn->many || !confirm_asks(entry, watch->conn->session));
}

/* Passes over those from an entry on. False: nothing follows them that may go out with what is before. */
static bool
pass_pings(const struct watch *watch, uint64_t *index)
{
	const struct dw_log *ring = watch->room->ring;

	while (*index != dw_log_end(ring) && asks_others(watch, dw_log_entry(ring, *index)))
		++*index;
	return *index != dw_log_end(ring) && (dw_log_entry(ring, *index)->flags & OWN_WAY) == 0;
}

/* A run of frames that go out as they are, and the index behind it. Where PINGs that ask others lie in it, it is put
 * together without them: they cost nobody a second write. */
static struct dw_str
next_run(struct watch *watch, uint64_t *next)
{
	const struct dw_log *ring = watch->room->ring;
	const uint32_t stop = OWN_WAY | (watch->conn->many ? ENTRY_PING : ENTRY_TURNS);
	struct dw_str part, run = dw_log_run_to(ring, watch->index, WRITE_MAX, stop, next);
	struct dw_buf *joined = &watch->conn->edge->rooms.run;
	uint64_t after;

	if (*next == dw_log_end(ring) || (dw_log_entry(ring, *next)->flags & ENTRY_PING) == 0)
		return run;
	dw_buf_reset(joined);
	while (pass_pings(watch, next)) {
		part = dw_log_run_to(ring, *next, WRITE_MAX, stop, &after);
		if (run.n + part.n > WRITE_MAX)
			break;
		if (joined->len == 0)
			dw_buf_add(joined, run.p, run.n);
		dw_buf_add(joined, part.p, part.n);
		if (!dw_buf_ok(joined))
			break;
		run = (struct dw_str) { joined->data, joined->len };
		*next = after;
	}
	return run;
}

void
watch_push(struct watch *watch)
{
	struct conn *conn = watch->conn;
	bool wrote = false;

	while (may_read(watch) && find_next(watch)) {
		struct dw_log *ring = watch->room->ring;
		const struct dw_log_entry *entry = dw_log_entry(ring, watch->index);
		uint64_t next = watch->index + 1;
		bool going;

		/* The hub had sent it before the stream was set back: whom it has not reached the hub is to know. */
		if ((entry->flags & ENTRY_HOLE) != 0 && entry->seq <= watch->room->furthest) {
			ask_feed(watch);
			break;
		}
		if (asks_others(watch, entry)) {
			going = true;
		} else if ((entry->flags & OWN_WAY) != 0) {
			going = write_entry(watch, entry);
			wrote = true;
		} else {
			going = conn_write(conn, next_run(watch, &next));
			wrote = true;
		}
		for (uint64_t i = watch->index; conn->sure && i != next; i++)
			confirm_written(watch, dw_log_entry(ring, i)->seq, dw_log_entry(ring, i)->n);
		entry = dw_log_entry(ring, next - 1);
		watch->at = (struct position) { entry->seq, entry->n > watch->at.n ? entry->n : watch->at.n };
		watch->index = next;
		if (!going)
			break;
	}
	if (wrote && conn->many)
		confirm_owe(conn);
}

/* One record that the hub fed. */
static void
render(struct watch *watch, const struct dw_record *record, struct dw_buf *out)
{
	struct rooms *rooms = &watch->conn->edge->rooms;

	if (!is_for(watch, record->to, record->except))
		return;
	if (!dw_record_dead(record, dw_now_ms()))
		room_render(rooms, out, watch->room->id, record);
	else if (record->to.n == 0)
		room_render_expired(rooms, out, watch->room->id, record->n, false);
}

/* Writes what was fed, in pieces. What a client does not take is fed again later, and less at once. */
static int
write_records(struct watch *watch, const struct dw_records *records, struct position *at, struct dw_buf *frames)
{
	struct dw_str rest = records->records;
	struct dw_record record;
	uint16_t taken = 0;
	int err;

	while ((err = dw_record_next(&rest, &record)) == DW_OK) {
		if (record.seq <= at->seq)
			continue;
		render(watch, &record, frames);
		*at = (struct position) { record.seq, record.n > at->n ? record.n : at->n };
		if (watch->conn->sure)
			confirm_written(watch, at->seq, at->n);
		taken++;
		if (frames->len < WRITE_MAX || !dw_buf_ok(frames))
			continue;
		if (!conn_write(watch->conn, (struct dw_str) { frames->data, frames->len }))
			return DW_E_CLOSING;
		dw_buf_reset(frames);
		if (!conn_can_write(watch->conn)) {
			watch->feed = taken < FEED_LIMIT / 2 ? (uint16_t)(taken * 2U) : (uint16_t)FEED_LIMIT;
			return DW_OK;
		}
	}
	if (records->last > at->seq)
		*at = (struct position) { records->last, records->last_n > at->n ? records->last_n : at->n };
	else if (records->records.n == 0 && records->head > at->seq)
		at->seq = records->head;
	watch->feed = FEED_LIMIT;
	return err == DW_E_AGAIN ? DW_OK : err;
}

void
watch_fed(struct watch *watch, const struct dw_records *records)
{
	struct conn *conn = watch->conn;
	struct rooms *rooms = &conn->edge->rooms;
	struct position at = watch->at;
	struct dw_buf frames = { 0 };
	int err;

	watch->asked = false;
	if (watch->state != WATCH_FEEDING || conn->state != CONN_OPEN)
		return;
	watch->state = WATCH_READING;
	watch_park(watch);
	if (records->code != 0) {
		conn_close(conn, 1013, "try again later");
		return;
	}
	if (!conn_can_write(conn)) /* asked for again when it can */
		return;
	room_render_direct_gap(rooms, &frames, watch->room->id, &records->direct);
	if (records->direct.count > 0 || records->gap_reason != DW_GAP_NONE)
		watch->begun = records->last > at.seq ? records->last : at.seq;
	if (records->gap_reason != DW_GAP_NONE && records->gap_to > at.n) {
		room_render_gap(rooms, &frames, watch->room->id, at.n + 1, records->gap_to, DW_GAP_SLOW);
		at.n = records->gap_to;
	}
	err = write_records(watch, records, &at, &frames);
	if ((err != DW_OK && err != DW_E_CLOSING) || !dw_buf_ok(&frames)) {
		conn_close(conn, 1013, "try again later");
	} else if (err == DW_OK) {
		if (conn_can_write(conn) && frames.len > 0)
			(void)conn_write(conn, (struct dw_str) { frames.data, frames.len });
		watch_stand(watch, at);
		watch_push(watch);
		confirm_owe(conn);
	}
	dw_buf_clear(&frames);
}
