/* The users that have something here now, by name: what one of them may have at once is counted with it.
 */
#ifndef USERS_H
#define USERS_H

#include <stddef.h>

#include "base/hash.h"

struct user {
	struct dw_hash_link link;
	unsigned uses;
	unsigned connections; /* WebSockets */
	size_t bytes;         /* of HTTP bodies and answers under way */
	char name[];
};

/* The user, who is there until users_release was called as often. NULL: no memory. */
struct user *users_get(struct dw_hash *users, const char *name);
/* user may be NULL. */
void users_release(struct dw_hash *users, struct user *user);

#endif
