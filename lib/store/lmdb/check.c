/* The look-through of the LMDB engine's store at open: that it is whole, and means what it must.
 *
 * A file of its own because it trusts nothing that the others rely on. look.c has every page and checksum looked
 * at; here the entries are, against each other: the newest messages of rooms and users are there and no newer ones,
 * neither their chains nor the log of ids has a hole, nothing is above the last seq. So a page that was never written,
 * and left an older one in its place, shows too.
 *
 * Happy path: what rooms and users say of their chains is read into a table of hashes; one pass over messages and
 * places, merged by seq, notes the last of each chain; then that must be what was said. Beyond the smallest limit that
 * this store ever had a chain may have holes: there the sweep deletes in no certain order.
 *
 * Failure modes: DW_E_CORRUPT with what is wrong and where. Memory: 96 bytes for each room, and for each user of direct
 * messages in a room, that is met; never what the file only says that there is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/kv/parts.h"
#include "store/lmdb/parts.h"

/* The first is what tells our stores from others. */
const char *const dw_lmdb_tables[LMDB_TABLES] = { "meta", "messages", "places", "rooms", "users", "idlog", "cursors",
	"owners" };

/* The chain of a room, or of a user's direct messages in one, by what is said of it and what of it was met. */
struct chain {
	struct dw_hash_link link;
	bool direct;
	uint64_t hash;           /* of the names of room and user; the user's is "" for all */
	uint64_t last, count;    /* the newest, by its room or its user */
	uint64_t directs;        /* of a room: how many direct messages there were */
	uint64_t met, met_count; /* the last one that was met */
};

struct check {
	const char *dir;
	struct dw_kv_look *look;
	struct dw_fault *fault;
	struct dw_hash chains;
	uint64_t last; /* seq that was given */
	uint64_t met;  /* the greatest one that is there */
	uint64_t limit;
	uint64_t ids; /* the log of ids begins behind this seq, and has been met up to it */
};

static int
damaged(struct check *check, const char *what, uint64_t seq, struct dw_str room)
{
	return dw_fault_set(check->fault, DW_E_CORRUPT, "--state-dir", KV_WHOLE,
		"'%s/data.mdb' is damaged: %s, message %llu, diagnosis %.*s", check->dir, what, (unsigned long long)seq,
		(int)room.n, room.p);
}

static int
damaged_table(struct check *check, enum lmdb_table table)
{
	return dw_fault_set(check->fault, DW_E_CORRUPT, "--state-dir", KV_WHOLE,
		"'%s/data.mdb' is damaged: table '%s' has an entry that does not fit", check->dir, dw_lmdb_tables[table]);
}

static uint32_t
chain_hash(const struct dw_hash_link *link)
{
	return (uint32_t)((const struct chain *)link)->hash;
}

static struct chain *
find(const struct check *check, struct dw_str room, struct dw_str user)
{
	const uint64_t hash = kv_hash(room, user);
	struct dw_hash_link *link = dw_hash_chain(&check->chains, (uint32_t)hash);

	while (link != NULL && ((struct chain *)link)->hash != hash)
		link = link->next;
	return (struct chain *)link;
}

static int
add(struct check *check, struct dw_str room, struct dw_str user, const struct chain *said)
{
	struct chain *chain = dw_hash_reserve(&check->chains, chain_hash) ? malloc(sizeof(*chain)) : NULL;

	if (chain == NULL)
		return DW_E_NOMEM;
	*chain = *said;
	chain->hash = kv_hash(room, user);
	dw_hash_add(&check->chains, &chain->link, chain_hash(&chain->link));
	return DW_OK;
}

typedef int take_fn(struct check *check, struct dw_str key, struct dw_str value);

static int
each(struct check *check, enum lmdb_table table, take_fn *take)
{
	struct dw_str key, value;
	int err;

	do {
		err = dw_kv_look_next(check->look, table, &key, &value);
	} while (err == DW_OK && (err = take(check, key, value)) == DW_OK);
	return err == DW_E_AGAIN ? DW_OK : err;
}

/* The version comes first: nothing else is known before. Version 1 had no checksums. */
static int
check_version(struct check *check)
{
	uint64_t version;
	int err = dw_kv_look_number(check->look, "version", &version);

	if (err == DW_E_AGAIN)
		return dw_fault_set(check->fault, DW_E_CORRUPT, "--state-dir",
			"a store of diagws that is whole: restore a copy, or use another directory",
			"'%s/data.mdb' is damaged, or another program's: it has no version", check->dir);
	if (err == DW_OK && version != 0 && version != LMDB_FORMAT)
		return dw_fault_set(check->fault, DW_E_CORRUPT, "--state-dir",
			"the release that wrote it, or another directory",
			"'%s/data.mdb' has format version %llu; this release reads %d", check->dir, (unsigned long long)version,
			LMDB_FORMAT);
	return err;
}

static int
take_meta(struct check *check, struct dw_str key, struct dw_str value)
{
	uint64_t number = 0;

	if (value.n == sizeof(number))
		memcpy(&number, value.p, sizeof(number));
	if (dw_str_is(key, "seq"))
		check->last = number;
	else if (dw_str_is(key, "limit"))
		check->limit = number;
	else if (dw_str_is(key, "ids"))
		check->ids = number;
	return DW_OK;
}

static int
take_room(struct check *check, struct dw_str key, struct dw_str value)
{
	struct room_value room;

	if (value.n != sizeof(room) || key.n > DW_ROOM_MAX || find(check, key, DW_STR("")) != NULL)
		return damaged_table(check, ROOMS);
	memcpy(&room, value.p, sizeof(room));
	if (room.head != (room.last > room.direct ? room.last : room.direct))
		return damaged(check, "the newest message of a diagnosis is missing", room.head, key);
	return add(check, key, DW_STR(""), &(struct chain) { .last = room.last, .count = room.n, .directs = room.directs });
}

static int
take_user(struct check *check, struct dw_str key, struct dw_str value)
{
	const char *nul = memchr(key.p, '\0', key.n);
	struct user_value last;
	struct dw_str room, user;

	if (nul == NULL || value.n != sizeof(last))
		return damaged_table(check, USERS);
	room = (struct dw_str) { key.p, (size_t)(nul - key.p) };
	user = (struct dw_str) { nul + 1, key.n - room.n - 1 };
	if (find(check, room, user) != NULL)
		return damaged_table(check, USERS);
	memcpy(&last, value.p, sizeof(last));
	return add(check, room, user, &(struct chain) { .direct = true, .last = last.last, .count = last.own });
}

static int
check_message(struct check *check, uint64_t seq, struct dw_str value, bool place)
{
	struct lmdb_message message;
	struct chain *room, *chain;

	if (dw_lmdb_take_message(value, place, &message) != DW_OK)
		return damaged_table(check, place ? PLACES : MESSAGES);
	room = chain = find(check, message.room, DW_STR(""));
	if (message.user.n > 0)
		chain = find(check, message.room, message.user);
	if (room == NULL || chain == NULL || message.head.count > chain->count || message.head.count == 0 ||
		message.head.prev >= seq || (message.user.n > 0 && message.head.total > room->directs))
		return damaged(check, "a message that its diagnosis does not know", seq, message.room);
	/* Whatever precedes one of the newest must be there, and be the last one met. */
	if (chain->met != 0 && chain->count - (message.head.count - 1) < DW_HISTORY_TIMES * check->limit &&
		(chain->met != message.head.prev || chain->met_count + 1 != message.head.count))
		return damaged(check, "a message is missing before", seq, message.room);
	chain->met = check->met = seq;
	chain->met_count = message.head.count;
	return DW_OK;
}

/* The next of one of the two tables; at its end seq is UINT64_MAX. */
static int
next_seq(struct check *check, enum lmdb_table table, uint64_t *seq, struct dw_str *value)
{
	struct dw_str key;
	int err = dw_kv_look_next(check->look, table, &key, value);

	*seq = UINT64_MAX;
	if (err == DW_OK && key.n != sizeof(*seq))
		return damaged_table(check, table);
	if (err == DW_OK)
		*seq = dw_lmdb_key_seq(key);
	return err == DW_E_AGAIN ? DW_OK : err;
}

/* One pass over messages and places, in order of seq. */
static int
check_log(struct check *check)
{
	struct dw_str message, place;
	uint64_t at, place_at;
	int err = next_seq(check, MESSAGES, &at, &message);

	if (err == DW_OK)
		err = next_seq(check, PLACES, &place_at, &place);
	while (err == DW_OK && (at != UINT64_MAX || place_at != UINT64_MAX)) {
		const bool first = at < place_at;

		err = check_message(check, first ? at : place_at, first ? message : place, !first);
		if (err == DW_OK)
			err = first ? next_seq(check, MESSAGES, &at, &message) : next_seq(check, PLACES, &place_at, &place);
	}
	return err;
}

/* Every room's newest, and every user's, were met, and the last seq's id. */
static int
check_ends(struct check *check)
{
	for (size_t i = 0; i < check->chains.cap; i++) {
		for (const struct dw_hash_link *link = check->chains.chains[i]; link != NULL; link = link->next) {
			const struct chain *chain = (const struct chain *)link;

			if (chain->met != chain->last || chain->met_count != chain->count)
				return damaged(check,
					chain->direct ? "a user's newest direct message is missing"
								  : "the newest message of a diagnosis is missing",
					chain->last, DW_STR("(unknown)"));
		}
	}
	if (check->met != check->last)
		return damaged(check, "the newest message is missing", check->last, DW_STR("(unknown)"));
	if (check->ids != check->last)
		return damaged(check, "an id is missing", check->last, DW_STR("(unknown)"));
	return DW_OK;
}

static int
take_cursor(struct check *check, struct dw_str key, struct dw_str value)
{
	struct dw_cursor cursor;

	return dw_lmdb_take_cursor(key, value, &cursor) ? DW_OK : damaged_table(check, CURSORS);
}

static int
take_owner(struct check *check, struct dw_str key, struct dw_str value)
{
	struct dw_owner_row row;

	return dw_lmdb_take_owner(key, value, &row) ? DW_OK : damaged_table(check, OWNERS);
}

/* The log of ids has no hole, from where it begins to the last seq. */
static int
take_ids(struct check *check, struct dw_str key, struct dw_str value)
{
	const uint64_t first = dw_lmdb_key_seq(key), count = value.n / sizeof(struct id_row);

	if (key.n != sizeof(first) || count == 0 || count > ID_ROWS_MAX || value.n % sizeof(struct id_row) != 0)
		return damaged_table(check, IDLOG);
	if (first != check->ids + 1)
		return damaged(check, "an id is missing", check->ids + 1, DW_STR("(unknown)"));
	check->ids += count;
	return DW_OK;
}

static int
look_through(struct check *check)
{
	static const struct {
		enum lmdb_table table;
		take_fn *take;
	} passes[] = { { META, take_meta }, { ROOMS, take_room }, { USERS, take_user }, { MESSAGES, NULL },
		{ IDLOG, take_ids }, { CURSORS, take_cursor }, { OWNERS, take_owner } };
	int err = check_version(check);

	for (size_t i = 0; err == DW_OK && i < sizeof(passes) / sizeof(passes[0]); i++)
		err = passes[i].take != NULL ? each(check, passes[i].table, passes[i].take) : check_log(check);
	if (err == DW_OK)
		err = check_ends(check);
	return err == DW_OK ? dw_kv_look_free(check->look) : err;
}

/* Nothing is there. Where there was something, that is no beginning. */
static int
begin_anew(struct lmdb_engine *e, struct dw_fault *fault)
{
	if (e->note.there)
		return dw_fault_set(
			fault, DW_E_CORRUPT, "--state-dir", KV_WHOLE, "'%s/data.mdb' is damaged: it was emptied", e->config.dir);
	/* The file itself stays: its lock is ours. */
	if (ftruncate(e->file, 0) != 0)
		return dw_fault_set(
			fault, DW_E_CREATE, "--state-dir", NULL, "cannot write in '%s': %s", e->config.dir, strerror(errno));
	return DW_E_AGAIN;
}

int
dw_lmdb_check(struct lmdb_engine *e, struct dw_fault *fault)
{
	const char *dir = e->config.dir;
	struct check check = { .dir = dir, .fault = fault };
	int err = dw_kv_look_open(&check.look, dir, e->file, dw_lmdb_tables, LMDB_TABLES, fault);

	if (err == DW_OK)
		err = look_through(&check);
	else if (err == DW_E_AGAIN)
		err = begin_anew(e, fault);
	dw_kv_look_close(check.look);
	dw_hash_free(&check.chains);
	return err;
}
