/* The embedded engine: LMDB in one directory, format version 6.
 *
 *   meta      what the store is and where it stands: version, epoch, seq, limit, sweeps, ids, file, noted
 *   messages  seq (8 bytes, big endian) → head, room, user, record
 *   places    seq → head, room, user: of messages that are no more
 *   rooms     room → newest messages, n
 *   users     room NUL user → newest direct message, and its number
 *   idlog     seq → the ids of that message and of those that follow it: see ids.c
 *   cursors   room NUL user NUL device → positions, seen, expires, derived
 *   owners    room NUL user → {state}
 *
 * Messages are appended at one end whatever their room, so that a commit dirties few pages; log.c
 * says how a room is read. The dead are cleared away later, by a sweep that looks at a few with a commit.
 *
 * What kv.h commits may lie in its journal for a while; a store is looked through again when something came from there.
 *
 * Here: opening, the transaction around a batch, upkeep and scans. What each operation does is in
 * ops.c, log.c and ids.c; LMDB itself is behind kv.h.
 *
 * Failure modes: a full map is grown and the batch done again, up to store_limit; then, or on ENOSPC,
 * DW_E_STORAGE_FULL with nothing done. An I/O error is DW_E_STORAGE: the caller must not go on.
 */
#include "store/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/lmdb/parts.h"

enum { SWEEP_PER_APPEND = 4, SWEEP_LEAST = 16, SWEEP_WHEN_FULL = 4096 };

static int
get_meta(struct lmdb_engine *e, const char *name, void *out, size_t size)
{
	return dw_kv_get_fixed(e->kv, META, dw_str(name), out, size);
}

static int
put_meta(struct lmdb_engine *e, const char *name, const void *in, size_t size)
{
	return dw_kv_put(e->kv, META, dw_str(name), (struct dw_str) { in, size });
}

/* The dead may take as much room as the living while there is room. */
static bool
is_nearly_full(const struct lmdb_engine *e)
{
	return dw_kv_bytes(e->kv) > e->config.store_limit / 4 * 3;
}

/* One transaction: the operations, and, where `budget` is not 0, the upkeep: a look at so many old messages, and
 * at fewer old ids. What appends has a budget. */
static int
attempt(struct lmdb_engine *e, enum dw_kv_mode mode, struct dw_op **ops, size_t count, size_t budget)
{
	int err = dw_kv_begin(e->kv, mode);

	if (err != DW_OK)
		return err;
	for (size_t i = 0; i < count; i++)
		dw_op_reset(ops[i]);
	e->now = dw_now_ms();
	e->next_seq = e->seq + 1;
	e->deleted = 0;
	e->room = NULL;
	for (size_t i = 0; err == DW_OK && i < count; i++) {
		e->room = ops[i]->room;
		err = dw_lmdb_op(e, ops[i]);
	}
	if (err == DW_OK)
		e->room = NULL;
	if (err == DW_OK && budget > 0)
		err = dw_lmdb_sweep(e, budget, mode == DW_KV_RESCUE || is_nearly_full(e));
	if (err == DW_OK && budget > 0)
		err = dw_lmdb_ids_end(e, budget / SWEEP_PER_APPEND);
	if (err == DW_OK)
		err = dw_lmdb_rooms_write(e);
	if (err == DW_OK && budget > 0) {
		const uint64_t last = e->next_seq - 1;

		err = put_meta(e, "seq", &last, sizeof(last));
	}
	if (err == DW_OK)
		err = dw_kv_commit(e->kv);
	else
		dw_kv_abort(e->kv);
	/* What is in memory becomes what the batch made, or what it was before. */
	if (err != DW_OK)
		dw_lmdb_rooms_forget(e);
	else if (budget > 0)
		e->seq = e->next_seq - 1;
	dw_lmdb_ids_settle(e, err == DW_OK);
	return err;
}

/* DW_OK: there is some. Where the limit is reached, clears away the dead that the sweep had not come to yet, so that a
 * full store mends itself when messages grow old. That takes pages too, of the reserve, so it tries ever fewer; and
 * what one transaction frees, LMDB gives to the second after it. */
static int
make_room(struct lmdb_engine *e)
{
	int err = DW_E_STORAGE_FULL;

	for (size_t budget = SWEEP_WHEN_FULL; budget >= SWEEP_LEAST; budget /= 16) {
		err = attempt(e, DW_KV_RESCUE, NULL, 0, budget);
		if (err == DW_OK && e->deleted > 0)
			return attempt(e, DW_KV_RESCUE, NULL, 0, SWEEP_LEAST);
		if (err != DW_E_STORAGE_FULL)
			break;
	}
	return err == DW_OK ? DW_E_STORAGE_FULL : err;
}

/* Messages and grants wait until there is room; all else must go on without. */
static bool
can_wait(const struct dw_op *op)
{
	return op->kind == DW_OP_APPEND || (op->kind == DW_OP_OWNER && op->owner.state == DW_OWNER_GRANTED);
}

static int
refuse(struct lmdb_engine *e, int err, const char *why, struct dw_fault *fault)
{
	/* What was not found had to be there. */
	if (err == DW_E_AGAIN)
		err = DW_E_CORRUPT;
	e->failed = err == DW_E_STORAGE || err == DW_E_CORRUPT;
	if (err == DW_E_CORRUPT)
		return dw_fault_set(fault, err, NULL, NULL, "'%s/data.mdb' is damaged: %s%s%s", e->config.dir, why,
			e->room != NULL ? ", diagnosis " : "", e->room != NULL ? e->room : "");
	return dw_fault_set(fault, err, NULL, NULL, "the store said: %s", err == DW_E_NOMEM ? dw_err_text(err) : why);
}

static int
lmdb_commit(struct dw_engine *engine, struct dw_op **ops, size_t count, struct dw_fault *fault)
{
	struct lmdb_engine *e = (struct lmdb_engine *)engine;
	const char *why = NULL;
	size_t appends = 0, patient = 0;
	bool again;
	int err;

	if (e->failed)
		return dw_fault_set(fault, DW_E_STORAGE, NULL, NULL, "the store has failed before: %s", dw_kv_text(e->kv));
	for (size_t i = 0; i < count; i++) {
		appends += ops[i]->kind == DW_OP_APPEND;
		patient += can_wait(ops[i]);
	}
	do {
		err = attempt(e, DW_KV_WRITE, ops, count, appends > 0 ? SWEEP_LEAST + SWEEP_PER_APPEND * appends : 0);
		again = false;
		if (err == DW_E_STORAGE_FULL) {
			err = dw_kv_grow(e->kv);
			why = dw_kv_text(e->kv); /* before make_room fails or succeeds with something else */
			if (err == DW_E_STORAGE_FULL && patient > 0)
				err = make_room(e);
			again = err == DW_OK;
		}
	} while (again);
	if (err == DW_E_STORAGE_FULL && patient == 0)
		err = attempt(e, DW_KV_RESCUE, ops, count, 0);
	if (err == DW_OK) {
		dw_lmdb_note_head(e);
		return DW_OK;
	}
	for (size_t i = 0; i < count; i++)
		dw_op_reset(ops[i]);
	return refuse(e, err, err == DW_E_STORAGE_FULL ? why : dw_kv_text(e->kv), fault);
}

/* That this epoch has been noted: from now on a note that is missing was taken away. */
static int
note_noted(struct lmdb_engine *e)
{
	int err = dw_kv_begin(e->kv, DW_KV_RESCUE);

	if (err != DW_OK)
		return err;
	err = put_meta(e, "noted", e->epoch, sizeof(e->epoch));
	if (err == DW_OK)
		err = dw_kv_commit(e->kv);
	else
		dw_kv_abort(e->kv);
	e->noted = err == DW_OK;
	return err;
}

/* Beside the store too. What has no room now is tried again the next time. */
static int
note_standing(struct lmdb_engine *e)
{
	const int number = dw_lmdb_note_renew(e);
	const int err = number == 0 && !e->noted ? note_noted(e) : DW_OK;

	return err == DW_E_STORAGE_FULL || err == DW_E_NOMEM ? DW_OK : err;
}

static void
lmdb_close(struct dw_engine *engine)
{
	struct lmdb_engine *e = (struct lmdb_engine *)engine;

	if (e == NULL)
		return;
	if (e->open && !e->failed)
		(void)note_standing(e);
	dw_kv_close(e->kv);
	dw_lmdb_rooms_forget(e);
	dw_lmdb_ids_close(e);
	dw_lmdb_note_close(e);
	dw_lmdb_unlock(e);
	free(e);
}

static void
lmdb_rest(struct dw_engine *engine)
{
	struct lmdb_engine *e = (struct lmdb_engine *)engine;
	int err = e->failed ? DW_E_STORAGE : note_standing(e);

	if (err == DW_OK)
		err = dw_kv_rest(e->kv);
	e->failed = err == DW_E_STORAGE || err == DW_E_CORRUPT;
}

static void
lmdb_info(struct dw_engine *engine, struct dw_engine_info *info)
{
	const struct lmdb_engine *e = (const struct lmdb_engine *)engine;

	memcpy(info->epoch, e->epoch, sizeof(info->epoch));
	info->head = e->seq;
	info->bytes = dw_kv_bytes(e->kv);
	info->restored = e->renewed;
}

struct walk {
	struct lmdb_engine *engine;
	dw_each_room *room;
	dw_each_cursor *cursor;
	void *user;
};

static int
walk_room(void *user, struct dw_str key, struct dw_str value)
{
	struct walk *walk = user;
	struct dw_room_summary summary;
	struct room_value room;

	if (value.n != sizeof(room))
		return DW_E_CORRUPT;
	memcpy(&room, value.p, sizeof(room));
	return dw_lmdb_summary(walk->engine, &summary, key, &room) ? walk->room(walk->user, &summary) : DW_OK;
}

static int
walk_cursor(void *user, struct dw_str key, struct dw_str value)
{
	struct walk *walk = user;
	struct dw_cursor cursor = { 0 };

	return dw_lmdb_take_cursor(key, value, &cursor) ? walk->cursor(walk->user, &cursor) : DW_E_CORRUPT;
}

static int
lmdb_scan(struct dw_engine *engine, dw_each_room *room, dw_each_cursor *cursor, void *user)
{
	struct lmdb_engine *e = (struct lmdb_engine *)engine;
	struct walk walk = { e, room, cursor, user };
	int err = dw_kv_begin(e->kv, DW_KV_READ);

	if (err != DW_OK)
		return err;
	e->now = dw_now_ms();
	if (room != NULL)
		err = dw_kv_scan(e->kv, ROOMS, DW_STR(""), DW_STR(""), walk_room, &walk);
	if (err == DW_OK && cursor != NULL)
		err = dw_kv_scan(e->kv, CURSORS, DW_STR(""), DW_STR(""), walk_cursor, &walk);
	dw_kv_abort(e->kv);
	return err;
}

/* A store that was restored goes on from an older state, so its positions mean something else from there on, and it
 * must have another epoch. */
static int
begin_epoch(struct lmdb_engine *e, const struct dw_kv_mark *mark)
{
	int err;

	/* Before: one of another epoch is never this one's, even if this one cannot be noted for long. */
	dw_lmdb_note_drop(e);
	dw_random_id(e->epoch);
	e->noted = false;
	err = put_meta(e, "epoch", e->epoch, sizeof(e->epoch));
	return err == DW_OK ? put_meta(e, "file", mark, sizeof(*mark)) : err;
}

/* What it says of itself: its seq and its epoch, which is a new one where its file or the note beside it tell that it
 * was restored. */
static int
read_standing(struct lmdb_engine *e, const struct dw_kv_mark *mark)
{
	struct dw_kv_mark before;
	char noted[DW_EPOCH_SIZE] = "";
	int err = get_meta(e, "seq", &e->seq, sizeof(e->seq));

	if (err == DW_OK)
		err = get_meta(e, "epoch", e->epoch, sizeof(e->epoch));
	e->epoch[sizeof(e->epoch) - 1] = '\0';
	if (err == DW_OK)
		err = get_meta(e, "noted", noted, sizeof(noted));
	if (err == DW_OK)
		err = get_meta(e, "file", &before, sizeof(before));
	if (err != DW_OK)
		return err;
	e->noted = memcmp(noted, e->epoch, sizeof(noted)) == 0;
	if (e->epoch[0] != '\0' && memcmp(&before, mark, sizeof(before)) == 0 && !dw_lmdb_was_restored(e))
		return DW_OK;
	e->renewed = true;
	return begin_epoch(e, mark);
}

/* Reads, or in a new store writes, what it is. */
static int
read_meta(struct lmdb_engine *e, bool recovered, struct dw_fault *fault)
{
	const struct dw_kv_mark mark = dw_kv_mark_of(e->file);
	const uint64_t limit = e->config.queue_limit;
	uint64_t version, least;
	int err = get_meta(e, "version", &version, sizeof(version));

	if (err == DW_OK && version == 0) {
		version = LMDB_FORMAT;
		err = put_meta(e, "version", &version, sizeof(version));
		if (err == DW_OK)
			err = begin_epoch(e, &mark);
	} else if (err == DW_OK) {
		err = read_standing(e, &mark);
	}
	/* The smallest limit that this store ever had: history beyond it may have holes. */
	if (err == DW_OK)
		err = get_meta(e, "limit", &least, sizeof(least));
	if (err == DW_OK && (least == 0 || least > limit))
		err = put_meta(e, "limit", &limit, sizeof(limit));
	if (err == DW_OK && !recovered)
		err = dw_lmdb_ids_open(e);
	if (err == DW_OK)
		return DW_OK;
	return dw_fault_set(fault, err, "--state-dir", NULL, "cannot read the store: %s", dw_kv_text(e->kv));
}

/* Opens it, looked through before, and leaves no transaction open. */
static int
open_looked(struct lmdb_engine *e, bool *recovered, struct dw_fault *fault)
{
	int err = dw_lmdb_check(e, fault);

	if (err == DW_OK || err == DW_E_AGAIN)
		err = dw_kv_open(
			&e->kv, e->config.dir, e->dir, dw_lmdb_tables, LMDB_TABLES, e->config.store_limit, recovered, fault);
	if (err == DW_OK)
		err = read_meta(e, *recovered, fault);
	if (err != DW_OK)
		return err;
	err = dw_kv_commit(e->kv);
	if (err != DW_OK)
		return dw_fault_set(fault, err, "--state-dir", NULL, "cannot write to the store: %s", dw_kv_text(e->kv));
	return DW_OK;
}

/* Before anybody is told its epoch. A new note at each opening, for a copy may have been made of the one before. */
static int
begin_note(struct lmdb_engine *e, struct dw_fault *fault)
{
	int number = dw_lmdb_note_write(e), err;

	if (number != 0 && number != ENOSPC && number != EDQUOT)
		return dw_fault_set(
			fault, DW_E_STORAGE, "--state-dir", NULL, "cannot write in '%s': %s", e->config.dir, strerror(number));
	e->open = true;
	err = note_standing(e);
	if (err != DW_OK)
		return dw_fault_set(fault, err, "--state-dir", NULL, "cannot write to the store: %s", dw_kv_text(e->kv));
	return DW_OK;
}

static int
open_store(struct lmdb_engine *e, struct dw_fault *fault)
{
	bool recovered = false;
	int err = open_looked(e, &recovered, fault);

	/* What came from the journal is looked at like the rest. */
	if (err == DW_OK && recovered) {
		dw_kv_close(e->kv);
		e->kv = NULL;
		err = open_looked(e, &recovered, fault);
	}
	return err == DW_OK ? begin_note(e, fault) : err;
}

static int
lmdb_open(struct dw_engine **out, const struct dw_engine_config *config, struct dw_fault *fault)
{
	struct lmdb_engine *e = calloc(1, sizeof(*e));
	int err;

	if (e == NULL)
		return DW_E_NOMEM;
	e->base.ops = &dw_engine_lmdb;
	e->config = *config;
	e->dir = e->file = e->note.fd = -1;
	err = dw_lmdb_lock(e, fault);
	if (err == DW_OK) {
		dw_lmdb_note_read(e);
		err = open_store(e, fault);
	}
	if (err != DW_OK)
		lmdb_close(&e->base);
	else
		*out = &e->base;
	return err;
}

const struct dw_engine_ops dw_engine_lmdb = {
	.open = lmdb_open,
	.rest = lmdb_rest,
	.close = lmdb_close,
	.info = lmdb_info,
	.scan = lmdb_scan,
	.commit = lmdb_commit,
};
