/* Reading a room: its two logs as one, in the order of seq, and what a reader has missed of either.
 *
 * Its own file because numbered and direct messages part only here: whoever reads a room (an edge's stream, a
 * client that is fed, a poll) gets them merged, what has expired as a tombstone, and the direct ones of others
 * not at all.
 *
 * Happy path: a room without direct, excepting or expiring messages is copied as it lies in the log. Failure
 * modes: memory, remembered by the buffer. What the log holds was checked when it came in; a record that
 * cannot be unpacked is passed over as a tombstone.
 */
#include <string.h>

#include "room_parts.h"

bool
dw_record_of(const struct dw_log *log, uint64_t index, struct dw_record *record)
{
	struct dw_str bytes = dw_log_bytes(log, index);

	*record = (struct dw_record) { 0 };
	return dw_record_next(&bytes, record) == DW_OK;
}

static bool
is_to(const struct dw_log *log, uint64_t index, struct dw_str user, uint32_t hash, struct dw_record *record)
{
	return dw_log_entry(log, index)->flags == hash && dw_record_of(log, index, record) && record->to.n == user.n &&
		   memcmp(record->to.p, user.p, user.n) == 0;
}

void
dw_room_walk_direct(
	const struct dw_room *room, struct dw_str user, uint64_t seq, uint64_t now, dw_direct_each *each, void *context)
{
	const uint32_t hash = dw_links_hash(user);
	size_t newer = 0;

	if (room->direct == NULL)
		return;
	for (uint64_t i = dw_log_end(room->direct); i-- > dw_log_first(room->direct);) {
		struct dw_record record;
		enum dw_gap_reason dropped = DW_GAP_NONE;

		if (dw_log_entry(room->direct, i)->seq <= seq)
			return;
		if (!is_to(room->direct, i, user, hash, &record))
			continue;
		if (newer++ >= room->all->queue_limit || record.type.n == 0)
			dropped = DW_GAP_LIMIT;
		else if (record.at + room->all->queue_ttl_ms < now || dw_record_dead(&record, now))
			dropped = DW_GAP_EXPIRED;
		each(context, &record, dropped);
	}
}

static void
add_dropped(void *context, const struct dw_record *record, enum dw_gap_reason dropped)
{
	struct dw_direct_gap *gap = context;

	if (dropped == DW_GAP_NONE) {
		gap->until = 0;
		return;
	}
	if (gap->until == 0)
		gap->until = record->seq;
	if (gap->count++ == 0)
		gap->to = record->n;
	gap->from = record->n;
	gap->reason = dropped;
}

struct dw_direct_gap
dw_room_direct_gap(const struct dw_room *room, struct dw_str user, uint64_t seq, uint64_t now)
{
	struct dw_direct_gap gap = { 0 };

	dw_room_walk_direct(room, user, seq, now, add_dropped, &gap);
	if (seq < room->direct_lost) {
		gap.count++;
		gap.reason = DW_GAP_LIMIT;
		if (gap.until == 0)
			gap.until = room->direct_lost;
	}
	return gap;
}

static void
add_live(void *context, const struct dw_record *record, enum dw_gap_reason dropped)
{
	(void)record;
	*(uint64_t *)context += dropped == DW_GAP_NONE;
}

uint64_t
dw_room_count(const struct dw_room *room, struct dw_str user, uint64_t seq, uint64_t now)
{
	uint64_t count = 0;

	dw_room_walk_direct(room, user, seq, now, add_live, &count);
	if (!room->mixed)
		return count + dw_log_end(room->log) - dw_log_after(room->log, seq);
	for (uint64_t i = dw_log_after(room->log, seq); i < dw_log_end(room->log); i++) {
		struct dw_record record;

		count += dw_record_of(room->log, i, &record) && !dw_record_dead(&record, now);
	}
	return count;
}

/* The next entry of either log after a seq. */
struct next {
	const struct dw_log *log;
	uint64_t index;
};

static bool
find_next(const struct dw_room *room, uint64_t seq, struct next *next)
{
	uint64_t numbered = dw_log_after(room->log, seq);
	uint64_t direct = room->direct != NULL ? dw_log_after(room->direct, seq) : 0;
	const bool has_numbered = numbered < dw_log_end(room->log);
	const bool has_direct = room->direct != NULL && direct < dw_log_end(room->direct);

	if (has_direct &&
		(!has_numbered || dw_log_entry(room->direct, direct)->seq < dw_log_entry(room->log, numbered)->seq))
		*next = (struct next) { room->direct, direct };
	else
		*next = (struct next) { room->log, numbered };
	return has_numbered || has_direct;
}

static void
add_record(const struct next *next, struct dw_record *record, uint64_t now, struct dw_buf *out)
{
	if (dw_record_dead(record, now)) {
		/* Its position stays, what it said does not. */
		record->type = record->id = record->data = (struct dw_str) { "", 0 };
		record->except = record->expires_at = 0;
		dw_record_pack(out, record);
	} else {
		struct dw_str bytes = dw_log_bytes(next->log, next->index);

		dw_buf_add(out, bytes.p, bytes.n);
	}
}

static bool
is_for(const struct dw_record *record, const struct dw_str *user, uint64_t oldest_direct)
{
	if (record->to.n == 0 || user == NULL)
		return true;
	return record->seq >= oldest_direct && record->type.n > 0 && record->to.n == user->n &&
		   memcmp(record->to.p, user->p, user->n) == 0;
}

static void
note_oldest_live(void *context, const struct dw_record *record, enum dw_gap_reason dropped)
{
	if (dropped == DW_GAP_NONE)
		*(uint64_t *)context = record->seq;
}

static bool
read_merged(const struct dw_room *room, const struct dw_str *user, struct dw_position *at, size_t limit, size_t bytes,
	uint64_t now, struct dw_buf *out)
{
	const size_t begun = out->len;
	uint64_t oldest_direct = UINT64_MAX;
	struct next next;

	if (user != NULL)
		dw_room_walk_direct(room, *user, at->seq, now, note_oldest_live, &oldest_direct);
	for (size_t i = 0; find_next(room, at->seq, &next);) {
		const struct dw_log_entry *entry = dw_log_entry(next.log, next.index);
		struct dw_record record;

		if (i >= limit || (out->len > begun && out->len - begun + entry->size > bytes))
			return true;
		if (!dw_record_of(next.log, next.index, &record))
			record = (struct dw_record) { .seq = entry->seq, .n = entry->n };
		if (is_for(&record, user, oldest_direct)) {
			add_record(&next, &record, now, out);
			i++;
		}
		*at = (struct dw_position) { entry->seq, entry->n };
	}
	return false;
}

bool
dw_room_read(const struct dw_room *room, const struct dw_str *user, struct dw_position *at, size_t limit, size_t bytes,
	uint64_t now, struct dw_buf *out)
{
	const size_t begun = out->len;
	uint64_t index;

	if (room->mixed || room->direct != NULL)
		return read_merged(room, user, at, limit, bytes, now, out);
	index = dw_log_after(room->log, at->seq);
	for (size_t i = 0; index < dw_log_end(room->log); i++, index++) {
		const struct dw_log_entry *entry = dw_log_entry(room->log, index);
		struct dw_str record = dw_log_bytes(room->log, index);

		if (i >= limit || (out->len > begun && out->len - begun + record.n > bytes))
			return true;
		dw_buf_add(out, record.p, record.n);
		*at = (struct dw_position) { entry->seq, entry->n };
	}
	return false;
}
