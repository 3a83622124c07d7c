/* Sessions: see sessions.h. The table doubles when it is full, and so a free place is near wherever one is looked for.
 */
#include "sessions.h"

#include <stdlib.h>

#include "base/clock.h"
#include "client/conn.h"

enum { PLACES_FIRST = 256, PLACE_BITS = 24 };

_Static_assert(SESSIONS_MAX == 1 << PLACE_BITS, "a place fits into a session's lowest bits");

static bool
grow(struct sessions *sessions)
{
	const size_t cap = sessions->cap > 0 ? sessions->cap * 2 : PLACES_FIRST;
	struct conn **conns = cap <= SESSIONS_MAX ? realloc(sessions->conns, cap * sizeof(*conns)) : NULL;

	if (conns == NULL)
		return false;
	for (size_t i = sessions->cap; i < cap; i++)
		conns[i] = NULL;
	sessions->next = sessions->cap;
	sessions->conns = conns;
	sessions->cap = cap;
	return true;
}

bool
sessions_add(struct sessions *sessions, struct conn *conn)
{
	size_t place;

	/* Never quite full, so that looking for a place stays short. */
	if (sessions->count >= sessions->cap - sessions->cap / 8 && !grow(sessions))
		return false;
	for (place = sessions->next; sessions->conns[place] != NULL;)
		place = (place + 1) % sessions->cap;
	sessions->conns[place] = conn;
	sessions->next = (place + 1) % sessions->cap;
	sessions->count++;
	do {
		conn->session = dw_random() << PLACE_BITS;
	} while (conn->session == 0);
	conn->session |= place;
	return true;
}

void
sessions_remove(struct sessions *sessions, const struct conn *conn)
{
	sessions->conns[conn->session % SESSIONS_MAX] = NULL;
	sessions->count--;
}

struct conn *
sessions_find(const struct sessions *sessions, uint64_t session)
{
	const size_t place = session % SESSIONS_MAX;
	struct conn *conn = place < sessions->cap ? sessions->conns[place] : NULL;

	return conn != NULL && conn->session == session ? conn : NULL;
}

struct conn *
sessions_each(const struct sessions *sessions, size_t *place)
{
	while (*place < sessions->cap) {
		struct conn *conn = sessions->conns[(*place)++];

		if (conn != NULL)
			return conn;
	}
	return NULL;
}

void
sessions_clear(struct sessions *sessions)
{
	free(sessions->conns);
	*sessions = (struct sessions) { 0 };
}
