/* The LMDB engine's tables by name, and the keys of their entries.
 *
 * Its own file because the log, the ids, the operations and the look-through make the same keys, and none of them is
 * above the others. Keys sort as what they are made of: numbers with the highest byte first, names with a NUL behind
 * each but the last, so that all entries of a room lie together.
 */
#include <string.h>

#include "store/lmdb/parts.h"

/* As enum lmdb_table; the first is what tells our stores from others. */
const char *const dw_lmdb_tables[LMDB_TABLES] = { "meta", "messages", "places", "rooms", "users", "idlog", "cursors",
	"owners" };

void
dw_lmdb_seq_key(uint64_t seq, uint8_t key[8])
{
	for (int i = 0; i < 8; i++)
		key[i] = (uint8_t)(seq >> (56 - 8 * i));
}

uint64_t
dw_lmdb_key_seq(struct dw_str key)
{
	uint64_t seq = 0;

	for (size_t i = 0; i < 8 && i < key.n; i++)
		seq = seq << 8 | ((const uint8_t *)key.p)[i];
	return seq;
}

size_t
dw_lmdb_join_key(char out[LMDB_KEY_MAX], const char *room, const char *user, const char *device)
{
	size_t n = strlen(room), m;

	memcpy(out, room, n);
	out[n++] = '\0';
	if (user == NULL)
		return n;
	m = strlen(user);
	memcpy(out + n, user, m);
	n += m;
	if (device == NULL)
		return n;
	out[n++] = '\0';
	m = strlen(device);
	memcpy(out + n, device, m);
	return n + m;
}
