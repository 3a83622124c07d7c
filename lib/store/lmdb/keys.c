/* The LMDB engine's tables by name, and the keys of their entries.
 *
 * Its own file because the log, the ids, the operations and the look-through make the same keys, and none of them is
 * above the others. Keys sort as what they are made of: numbers with the highest byte first, names with a NUL behind
 * each but the last, so that all entries of a room lie together.
 */
#include <endian.h>
#include <string.h>

#include "store/lmdb/parts.h"

/* As enum lmdb_table; the first is what tells our stores from others. */
const char *const dw_lmdb_tables[LMDB_TABLES] = { "meta", "messages", "places", "rooms", "users", "idlog", "cursors",
	"owners" };

struct dw_str
dw_lmdb_seq_key(uint64_t *out, uint64_t seq)
{
	*out = htobe64(seq);
	return dw_bytes(out, sizeof(*out));
}

uint64_t
dw_lmdb_key_seq(struct dw_str key)
{
	uint64_t seq = 0;

	memcpy(&seq, key.p, key.n < sizeof(seq) ? key.n : sizeof(seq));
	return be64toh(seq);
}

struct dw_str
dw_lmdb_join_key(char out[LMDB_KEY_MAX], struct dw_str room, struct dw_str user, const char *device)
{
	char *end = mempcpy(out, room.p, room.n);

	*end++ = '\0';
	if (user.n > 0)
		end = mempcpy(end, user.p, user.n);
	if (device != NULL) {
		*end++ = '\0';
		end = mempcpy(end, device, strlen(device));
	}
	return dw_bytes(out, (size_t)(end - out));
}
