/* diagws-owner: what its files share. main.c has the options, finds the verb and lists; change.c grants and imports. */
#ifndef DIAGWS_OWNER_H
#define DIAGWS_OWNER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "message/msg.h"

#define OWNER_NAME "diagws-owner"

/* A grant, revoke or deny of one user; words for its three outcomes. */
struct verb {
	const char *name;    /* "grant" */
	const char *done;    /* "granted" */
	const char *already; /* nothing changed */
};

/* Each returns DW_OK or the error that gives the exit status; everything has been told. dry: say what would change,
 * change nothing. */
int change_users(const struct verb *verb, bool dry, const char *room, char **users, size_t count);
int import_users(const struct verb *verb, bool dry, const char *path);

#endif
