/* Reading a room: its two logs as one, in the order of seq, and what is no more of them.
 * Its own file because whoever reads a room (an edge's stream, a client that is fed, a poll) gets numbered and direct
 * messages merged, what has expired as a tombstone, and the direct ones of others not at all.
 *
 * Happy path: a room without direct, excepting or expiring messages is copied as it lies in the log. Failure modes:
 * memory, remembered by the buffer; a record that cannot be unpacked is passed over as a tombstone.
 */
#include "room/parts.h"

bool
dw_record_of(const struct dw_ring *log, uint64_t index, struct dw_record *record)
{
	struct dw_str bytes = dw_ring_bytes(log, index);

	*record = (struct dw_record) { 0 };
	return dw_record_next(&bytes, record) == DW_OK;
}

/* Whether an entry of the log of direct messages is to this member, and retained. */
static bool
is_own(const struct dw_room *room, uint64_t index, const struct dw_member *member, struct dw_record *record)
{
	const struct dw_ring *log = room->direct;

	return member != NULL && dw_ring_entry(log, index)->flags == dw_hash_of(dw_str(member->user)) &&
		   dw_record_of(log, index, record) && dw_str_is(record->to, member->user) && record->own >= member->first_own;
}

/* The entries of both logs in the order of seq. */
struct next {
	const struct dw_ring *log; /* the one that the next is of */
	uint64_t index;
	uint64_t numbered, direct; /* where the logs go on behind it */
};

static struct next
after(const struct dw_room *room, uint64_t seq)
{
	return (struct next) { .numbered = dw_ring_after(room->log, seq), .direct = dw_ring_after(room->direct, seq) };
}

static bool
find_next(const struct dw_room *room, struct next *next)
{
	const bool has_numbered = next->numbered < dw_ring_end(room->log),
			   has_direct = next->direct < dw_ring_end(room->direct);

	if (has_direct && (!has_numbered || dw_ring_entry(room->direct, next->direct)->seq <
											dw_ring_entry(room->log, next->numbered)->seq)) {
		next->log = room->direct;
		next->index = next->direct++;
	} else if (has_numbered) {
		next->log = room->log;
		next->index = next->numbered++;
	}
	return has_numbered || has_direct;
}

/* What lies between where a reader stands and the oldest that its room still has: a message to everyone is counted by
 * the room's n, a direct one by its user's own. */
static struct dw_gap
gap_to(uint64_t number, uint64_t oldest, bool full)
{
	if (number + 1 >= oldest)
		return (struct dw_gap) { 0, 0, DW_GAP_NONE };
	/* With as many behind it as are retained, its age does not matter. */
	return (struct dw_gap) { number + 1, oldest - 1, full ? DW_GAP_LIMIT : DW_GAP_EXPIRED };
}

struct dw_gap
dw_room_gap(const struct dw_room *room, struct dw_position at)
{
	return gap_to(dw_n(at), room->oldest_n, dw_room_retained(room) >= room->all->queue_limit);
}

struct dw_gap
dw_room_direct_gap(const struct dw_room *room, struct dw_str user, struct dw_position at)
{
	const struct dw_member *member = dw_room_member(room, user);

	if (member == NULL)
		return (struct dw_gap) { 0, 0, DW_GAP_NONE };
	return gap_to(dw_own(at), member->first_own,
		member->own + 1 - member->first_own >= room->all->queue_limit || dw_room_is_crowded(room));
}

struct dw_position
dw_room_stream_at(const struct dw_room *room, const struct dw_member *member, uint64_t seq)
{
	struct next next = after(room, seq);
	struct dw_record record;

	while (find_next(room, &next)) {
		const struct dw_ring_entry *entry = dw_ring_entry(next.log, next.index);

		if (next.log == room->log)
			return dw_position_before((struct dw_number) { entry->seq, entry->n, 0 });
		if (is_own(room, next.index, member, &record))
			return dw_position_before(dw_record_number(&record));
	}
	return dw_position_said(room->head, room->n, 0);
}

struct dw_position
dw_room_go_on(const struct dw_room *room, struct dw_str user, struct dw_position at)
{
	const struct dw_member *member = dw_room_member(room, user);

	at = dw_position_skip(at, room->oldest_n - 1, member != NULL ? member->first_own - 1 : 0);
	/* Nothing is retained between it and the stream, whose own is 0. */
	return dw_position_further(at, dw_room_stream_at(room, member, dw_seq(at)));
}

bool
dw_room_n_at(const struct dw_room *room, uint64_t seq, uint64_t *n)
{
	uint64_t index;

	if (seq >= room->head) {
		*n = room->n;
		return true;
	}
	index = dw_ring_after(room->log, seq);
	*n = index > dw_ring_first(room->log) ? dw_ring_entry(room->log, index - 1)->n : 0;
	/* Where everything there ever was is retained nothing precedes the oldest. */
	return *n > 0 || seq == 0 || room->oldest_n == 1;
}

bool
dw_room_own_at(const struct dw_room *room, struct dw_str user, uint64_t seq, uint64_t *own)
{
	const struct dw_member *member = dw_room_member(room, user);
	uint64_t first_own;

	*own = 0;
	if (member == NULL || seq == 0)
		return true;
	if (seq >= room->head) {
		*own = member->own;
		return true;
	}
	first_own = member->own + 1;
	for (uint64_t i = dw_ring_end(room->direct); i-- > dw_ring_first(room->direct);) {
		struct dw_record record;

		if (!is_own(room, i, member, &record))
			continue;
		first_own = record.own;
		if (record.seq <= seq) {
			*own = record.own;
			return true;
		}
	}
	/* Nothing precedes the first one ever. */
	return first_own == 1;
}

uint64_t
dw_room_count(const struct dw_room *room, struct dw_str user, struct dw_position at, uint64_t now)
{
	const struct dw_member *member = dw_room_member(room, user);
	const uint64_t first = dw_ring_after(room->log, dw_seq(at));
	struct dw_record record;
	uint64_t count = 0;

	for (uint64_t i = dw_ring_after(room->direct, dw_seq(at)); i < dw_ring_end(room->direct); i++)
		count += is_own(room, i, member, &record) && !dw_record_dead(&record, now);
	if (!room->mixed)
		return count + dw_ring_end(room->log) - first;
	for (uint64_t i = first; i < dw_ring_end(room->log); i++)
		count += dw_record_of(room->log, i, &record) && !dw_record_dead(&record, now);
	return count;
}

/* Of one that is no more only its position stays; and where only its own time is over, for whom it was not. */
static void
add_record(const struct next *next, struct dw_record record, bool retained, uint64_t now, struct dw_buf *out)
{
	const struct dw_str bytes = dw_ring_bytes(next->log, next->index);

	if (retained && !dw_record_dead(&record, now)) {
		dw_buf_add(out, bytes.p, bytes.n);
		return;
	}
	record.type = record.id = record.data = (struct dw_str) { "", 0 };
	record.except = retained ? record.except : 0;
	record.expires_at = retained ? record.expires_at : 0;
	dw_record_pack(out, &record);
}

static bool
read_merged(const struct dw_room *room, const struct dw_str *user, struct dw_position *at, size_t limit, size_t bytes,
	uint64_t now, struct dw_buf *out)
{
	const struct dw_member *member = user != NULL ? dw_room_member(room, *user) : NULL;
	const size_t begun = out->len;
	struct next next = after(room, dw_seq(*at));

	for (size_t i = 0; find_next(room, &next);) {
		const struct dw_ring_entry *entry = dw_ring_entry(next.log, next.index);
		const bool direct = next.log == room->direct;
		struct dw_record record;
		bool mine, retained;

		if (i >= limit || (out->len > begun && out->len - begun + entry->size > bytes))
			return true;
		if (!dw_record_of(next.log, next.index, &record))
			record = (struct dw_record) { .seq = entry->seq, .n = entry->n };
		mine = direct && is_own(room, next.index, member, &record);
		retained =
			!direct || mine || (user == NULL && is_own(room, next.index, dw_room_member(room, record.to), &record));
		if (retained || user == NULL) {
			add_record(&next, record, retained, now, out);
			i++;
		}
		*at = dw_position_pass(*at, dw_record_number(&record), mine);
	}
	return false;
}

bool
dw_room_read(const struct dw_room *room, const struct dw_str *user, struct dw_position *at, size_t limit, size_t bytes,
	uint64_t now, struct dw_buf *out)
{
	const size_t begun = out->len;
	uint64_t index, end;

	if (room->mixed || dw_ring_count(room->direct) > 0)
		return read_merged(room, user, at, limit, bytes, now, out);
	index = dw_ring_after(room->log, dw_seq(*at));
	end = dw_ring_end(room->log);
	for (size_t i = 0; index < end; i++, index++) {
		const struct dw_ring_entry *entry = dw_ring_entry(room->log, index);
		struct dw_str record = dw_ring_bytes(room->log, index);

		if (i >= limit || (out->len > begun && out->len - begun + record.n > bytes))
			return true;
		dw_buf_add(out, record.p, record.n);
		*at = dw_position_pass(*at, (struct dw_number) { entry->seq, entry->n, 0 }, false);
	}
	return false;
}
