/* How a subscription gets what it has not got: from the room's ring, or, behind it, from the hub.
 *
 * Happy path: a run of ready frames goes out in one write, as often as the kernel takes it; a frame that is not for
 * all, or not for ever, by itself. Failure modes: a client that reads too slowly falls off the ring, and is fed (READ);
 * what the hub no longer has either is told as a gap. Invariants: no more than WRITE_MAX or one frame is written at
 * once, for that is what libwebsockets may have to keep; by `at`, which was written or told as a gap, nothing is given
 * twice.
 */
#include "subscription.h"

#include <string.h>

#include "base/clock.h"
#include "client/conn.h"
#include "door/server.h"
#include "edge.h"
#include "hub/uplink.h"
#include "room/rooms.h"

enum { WRITE_MAX = 16 * 1024 };
enum { OWN_WAY = ENTRY_CONDITION | ENTRY_HOLE | ENTRY_ASK }; /* does not go out as it is */

static bool
may_read(const struct subscription *sub)
{
	return sub->state == SUB_READING && sub->conn->state == CONN_OPEN && sub->conn->stalled_at == 0;
}

void
sub_stand(struct subscription *sub, struct dw_position at)
{
	const struct room *room = sub->room;

	sub->at = at;
	sub->behind = !room_covers(room, dw_seq(at));
	sub->index = room->ring != NULL ? dw_ring_after(room->ring, dw_seq(at)) : 0;
}

/* Behind the ring: the hub is asked for what follows our position. */
static void
ask_feed(struct subscription *sub)
{
	struct dw_wire read = { .kind = DW_READ,
		.read = { .corr = sub->conn->session,
			.session = sub->conn->session,
			.room = dw_str(sub->room->id),
			.after = sub->at,
			.limit = sub->feed,
			.stay = sub->stay } };

	/* One that returns to a busy hub is not counted by it before its JOIN has been asked again. */
	if (sub->asked || sub->again || !sub->joined)
		return;
	sub->state = SUB_FEEDING;
	sub->asked_at = dw_mono_ms();
	sub->asked = uplink_send(sub->conn->edge->uplink, &read);
	conn_wake(sub->conn, sub->asked_at + OVERDUE_MS);
	sub_park(sub);
}

/* Whether the client lacks this entry. It does not if the hub has fed it further than the stream had come, so that the
 * stream brings the same once more; or if it was told the entry as a gap, because the hub no longer had what the ring
 * still has. */
static bool
is_next(const struct subscription *sub, const struct dw_ring_entry *entry)
{
	if ((entry->flags & ENTRY_PING) != 0)
		return entry->seq >= dw_seq(sub->at) && entry->n >= dw_n(sub->at);
	if ((entry->flags & ENTRY_ASK) != 0)
		return entry->seq >= dw_seq(sub->at);
	return entry->seq > dw_seq(sub->at) && ((entry->flags & ENTRY_CONDITION) != 0 || entry->n > dw_n(sub->at));
}

/* Finds the next entry for it. False: there is none yet. */
static bool
find_next(struct subscription *sub)
{
	const struct room *room = sub->room;

	if (sub->behind || room->ring == NULL || sub->index < dw_ring_first(room->ring)) {
		sub_stand(sub, sub->at);
		if (sub->behind)
			ask_feed(sub);
		if (sub->behind || room->ring == NULL)
			return false;
	}
	while (sub->index != dw_ring_end(room->ring)) {
		if (is_next(sub, dw_ring_entry(room->ring, sub->index)))
			return true;
		sub->index++;
	}
	return false;
}

/* Whether this client gets a message; it may be over its time. */
static bool
is_for(const struct subscription *sub, struct dw_str to, uint64_t except)
{
	return (to.n == 0 || dw_str_is(to, sub->conn->user->name)) && (except == 0 || except != sub->conn->session);
}

/* The client is told of a gap: what it confirms behind it was delivered from there on. */
static void
break_run(struct subscription *sub, struct run *run, uint64_t to)
{
	if (run->broke > 0) {
		run->begun = run->broke;
		sub->anew = true;
	}
	run->broke = to;
}

/* Renders what the client lacks of this, and goes on behind it. */
static struct dw_position
tell_gap(struct subscription *sub, struct dw_position at, struct dw_gap gap, bool direct, struct dw_buf *out)
{
	const uint64_t known = direct ? dw_own(at) : dw_n(at);

	if (gap.reason == DW_GAP_NONE || gap.to <= known)
		return at;
	gap.from = known + 1;
	room_render_gap(&sub->conn->edge->rooms, out, sub->room->id, gap, direct);
	break_run(sub, direct ? &sub->direct : &sub->numbered, gap.to);
	return dw_position_skip(at, direct ? 0 : gap.to, direct ? gap.to : 0);
}

/* What was written of an entry, or passed over; own: the number of one to this user alone. */
static void
pass_entry(struct subscription *sub, const struct dw_ring_entry *entry, uint64_t own)
{
	sub->at = dw_position_pass(sub->at, (struct dw_number) { entry->seq, entry->n, own }, own > 0);
	if (sub->conn->sure || own > 0)
		written_note(sub, sub->at);
}

/* Only the hub knows what is missing before an entry, and why. */
static bool
must_ask(const struct subscription *sub, const struct dw_ring_entry *entry)
{
	struct condition condition;
	struct dw_str frame;

	if ((entry->flags & ENTRY_HOLE) != 0)
		return entry->flags >> ENTRY_REASON_SHIFT == DW_GAP_NONE;
	if ((entry->flags & ENTRY_CONDITION) == 0)
		return (entry->flags & ENTRY_ASK) != 0;
	frame = room_condition(dw_ring_bytes(sub->room->ring, sub->index), &condition);
	return dw_str_is(condition.to, sub->conn->user->name) && condition.own > dw_own(sub->at) + (frame.n > 0);
}

/* An entry that carries a condition. */
static bool
write_conditional(struct subscription *sub, const struct dw_ring_entry *entry)
{
	struct condition condition;
	struct dw_str frame = room_condition(dw_ring_bytes(sub->room->ring, sub->index), &condition);
	/* It counts among the messages to its user, be it that this session does not get it. */
	const bool mine = dw_str_is(condition.to, sub->conn->user->name);
	const bool known = condition.to.n > 0 ? condition.own <= dw_own(sub->at) : entry->n <= dw_n(sub->at);
	struct dw_buf gap = { 0 };
	bool going = true;

	if (is_for(sub, condition.to, condition.except) && !known) {
		if (condition.expires_at > 0 && dw_now_ms() >= condition.expires_at) {
			room_render_expired(&sub->conn->edge->rooms, &gap, sub->room->id,
				&(struct dw_record) { .n = entry->n, .own = condition.own, .to = condition.to });
			frame = (struct dw_str) { gap.data, gap.len };
		}
		going = dw_buf_ok(&gap) && conn_write(sub->conn, frame);
	}
	pass_entry(sub, entry, mine ? condition.own : 0);
	/* The PING of the ring that follows is not for one who is ahead of it. */
	if (mine && entry->n < dw_n(sub->at))
		confirm_owe(sub->conn);
	dw_buf_clear(&gap);
	return going;
}

static bool
write_hole(struct subscription *sub, const struct dw_ring_entry *entry)
{
	const struct dw_gap gap = { 0, entry->n, entry->flags >> ENTRY_REASON_SHIFT };
	struct dw_buf frame = { 0 };
	bool going;

	sub->at = tell_gap(sub, sub->at, gap, false, &frame);
	going = dw_buf_ok(&frame) && conn_write(sub->conn, (struct dw_str) { frame.data, frame.len });
	pass_entry(sub, entry, 0);
	dw_buf_clear(&frame);
	return going;
}

/* A PING of the ring that asks others. One with several rooms is asked by its own. */
static bool
asks_others(const struct subscription *sub, const struct dw_ring_entry *entry)
{
	return (entry->flags & ENTRY_PING) != 0 && (sub->conn->many || !ping_asks(entry, sub->conn->session));
}

/* Passes over those from an entry on. False: nothing follows them that may go out with what is before. */
static bool
pass_pings(const struct subscription *sub, uint64_t *index)
{
	const struct dw_ring *ring = sub->room->ring;

	while (*index != dw_ring_end(ring) && asks_others(sub, dw_ring_entry(ring, *index)))
		++*index;
	return *index != dw_ring_end(ring) && (dw_ring_entry(ring, *index)->flags & OWN_WAY) == 0;
}

/* A run of frames that go out as they are, and the index behind it. Where PINGs that ask others lie in it, it is put
 * together without them: they cost nobody a second write. */
static struct dw_str
next_run(struct subscription *sub, uint64_t *next)
{
	const struct dw_ring *ring = sub->room->ring;
	const uint32_t stop = OWN_WAY | (sub->conn->many ? ENTRY_PING : ENTRY_TURNS);
	struct dw_str part, run = dw_ring_run_to(ring, sub->index, WRITE_MAX, stop, next);
	struct dw_buf *joined = &sub->conn->edge->rooms.run;
	uint64_t after;

	if (*next == dw_ring_end(ring) || (dw_ring_entry(ring, *next)->flags & ENTRY_PING) == 0)
		return run;
	dw_buf_reset(joined);
	while (pass_pings(sub, next)) {
		part = dw_ring_run_to(ring, *next, WRITE_MAX, stop, &after);
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

/* A run of entries from its index on that go out as they are. */
static bool
write_run(struct subscription *sub, uint64_t *next)
{
	const struct dw_ring *ring = sub->room->ring;
	const bool going = conn_write(sub->conn, next_run(sub, next));

	for (uint64_t i = sub->conn->sure ? sub->index : *next - 1; i != *next; i++)
		pass_entry(sub, dw_ring_entry(ring, i), 0);
	return going;
}

void
sub_push(struct subscription *sub)
{
	struct conn *conn = sub->conn;
	bool wrote = false;

	if (sub->lacks && may_read(sub))
		ask_feed(sub);
	while (may_read(sub) && find_next(sub)) {
		const struct dw_ring_entry *entry = dw_ring_entry(sub->room->ring, sub->index);
		uint64_t next = sub->index + 1;
		bool going = true;

		if (must_ask(sub, entry)) {
			ask_feed(sub);
			break;
		}
		if (asks_others(sub, entry)) {
			pass_entry(sub, entry, 0);
		} else {
			if ((entry->flags & ENTRY_HOLE) != 0)
				going = write_hole(sub, entry);
			else if ((entry->flags & ENTRY_CONDITION) != 0)
				going = write_conditional(sub, entry);
			else
				going = write_run(sub, &next);
			wrote = true;
		}
		sub->index = next;
		if (!going)
			break;
	}
	if (wrote && conn->many)
		confirm_owe(conn);
}

/* One record that the hub fed. */
static void
render(struct subscription *sub, const struct dw_record *record, struct dw_buf *out)
{
	struct rooms *rooms = &sub->conn->edge->rooms;

	if (!is_for(sub, record->to, record->except))
		return;
	if (dw_record_dead(record, dw_now_ms()))
		room_render_expired(rooms, out, sub->room->id, record);
	else
		room_render(rooms, out, sub->room->id, record);
}

/* Writes what was fed, in pieces. What a client does not take is fed again later, and less at once. */
static int
write_records(struct subscription *sub, const struct dw_records *records, struct dw_position *at, struct dw_buf *frames)
{
	const bool lacked = records->direct.reason != DW_GAP_NONE;
	struct dw_str rest = records->records;
	struct dw_record record;
	uint16_t taken = 0;
	int err;

	while ((err = dw_record_next(&rest, &record)) == DW_OK) {
		const bool mine = record.to.n > 0;

		if (record.seq <= dw_seq(*at))
			continue;
		render(sub, &record, frames);
		*at = dw_position_pass(*at, dw_record_number(&record), mine);
		/* A PING in the ring does not tell that a gap of this client's own came before this. */
		if (sub->conn->sure || mine || (lacked && taken == 0))
			written_note(sub, *at);
		taken++;
		if (frames->len < WRITE_MAX || !dw_buf_ok(frames))
			continue;
		if (!conn_write(sub->conn, (struct dw_str) { frames->data, frames->len }))
			return DW_E_CLOSING;
		dw_buf_reset(frames);
		if (!conn_can_write(sub->conn)) {
			sub->feed = taken < FEED_LIMIT / 2 ? (uint16_t)(taken * 2U) : (uint16_t)FEED_LIMIT;
			return DW_OK;
		}
	}
	*at = dw_position_further(*at, records->last);
	if (sub->conn->sure || lacked)
		written_note(sub, *at);
	sub->feed = FEED_LIMIT;
	return err == DW_E_AGAIN ? DW_OK : err;
}

void
sub_fed(struct subscription *sub, const struct dw_records *records)
{
	struct conn *conn = sub->conn;
	struct dw_position at = sub->at;
	struct dw_buf frames = { 0 };
	int err;

	/* Those of another stay in the room are none of this one's. */
	if (records->stay != sub->stay)
		return;
	sub->asked = false;
	if (sub->state != SUB_FEEDING || conn->state != CONN_OPEN)
		return;
	sub->state = SUB_READING;
	sub_park(sub);
	if (records->code != 0) {
		conn_close(conn, 1013, "try again later");
		return;
	}
	if (!conn_can_write(conn)) /* asked for again when it can */
		return;
	sub->lacks = false;
	at = tell_gap(sub, at, records->direct, true, &frames);
	at = tell_gap(sub, at, records->gap, false, &frames);
	err = write_records(sub, records, &at, &frames);
	if ((err != DW_OK && err != DW_E_CLOSING) || !dw_buf_ok(&frames)) {
		conn_close(conn, 1013, "try again later");
	} else if (err == DW_OK) {
		if (conn_can_write(conn) && frames.len > 0)
			(void)conn_write(conn, (struct dw_str) { frames.data, frames.len });
		sub_stand(sub, at);
		sub_push(sub);
		confirm_owe(conn);
	}
	dw_buf_clear(&frames);
}

void
sub_push_all(struct conn *conn)
{
	if (server_stalled(conn->wsi) || conn->state == CONN_CLOSING)
		return;
	conn->stalled_at = 0;
	conn->waiting = 0;
	sub_park_all(conn);
	for (struct subscription *sub = sub_first(conn); sub != NULL; sub = sub_after(sub))
		sub_push(sub);
	confirm_try(conn);
}
