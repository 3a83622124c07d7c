/* The connections that the hub knows, by the session id that it knows them by.
 *
 * An id is 40 random bits, so that it is unique for ever, and a place in a table of ours: finding one costs a look, and
 * being in the table 8 bytes.
 */
#ifndef SESSIONS_H
#define SESSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conn;

enum { SESSIONS_MAX = 1 << 24 };

struct sessions {
	struct conn **conns; /* NULL: a free place */
	size_t cap;
	size_t next; /* where a free place is looked for first */
	size_t count;
};

/* Gives the connection its session id. False: no memory, or no place. */
bool sessions_add(struct sessions *sessions, struct conn *conn);
void sessions_remove(struct sessions *sessions, const struct conn *conn);
struct conn *sessions_find(const struct sessions *sessions, uint64_t session);
/* Begins with *place 0; NULL: no more. The one that was returned may go meanwhile, others may come. */
struct conn *sessions_each(const struct sessions *sessions, size_t *place);
void sessions_clear(struct sessions *sessions);

#endif
