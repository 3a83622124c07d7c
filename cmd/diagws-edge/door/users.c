/* Users: see users.h. Its own file because WebSockets and HTTP requests count with the same ones.
 */
#include "users.h"

#include <stdlib.h>
#include <string.h>

static uint32_t
user_hash(const struct dw_hash_link *link)
{
	return dw_hash_of(dw_str(((const struct user *)(const void *)link)->name));
}

_Static_assert(offsetof(struct user, link) == 0, "a user is its link");

static struct user *
find(struct dw_hash *users, const char *name)
{
	struct dw_hash_link *link = dw_hash_chain(users, dw_hash_of(dw_str(name)));

	for (; link != NULL; link = link->next)
		if (strcmp(((struct user *)(void *)link)->name, name) == 0)
			return (struct user *)(void *)link;
	return NULL;
}

struct user *
users_get(struct dw_hash *users, const char *name)
{
	const size_t length = strlen(name);
	struct user *user = find(users, name);

	if (user == NULL) {
		user = dw_hash_reserve(users, user_hash) ? calloc(1, offsetof(struct user, name) + length + 1) : NULL;
		if (user == NULL)
			return NULL;
		memcpy(user->name, name, length);
		dw_hash_add(users, &user->link, user_hash(&user->link));
	}
	user->uses++;
	return user;
}

void
users_release(struct dw_hash *users, struct user *user)
{
	if (user == NULL || --user->uses > 0)
		return;
	dw_hash_remove(users, &user->link, user_hash(&user->link));
	free(user);
}
