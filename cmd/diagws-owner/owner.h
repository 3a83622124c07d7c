/* diagws-owner: what its files share. main.c finds the verb, options.c has the options, change.c grants and imports,
 * list.c lists.
 */
#ifndef DIAGWS_OWNER_H
#define DIAGWS_OWNER_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/opt.h"
#include "client/client.h"
#include "message/msg.h"

enum { OWNER_WINDOW = 256, OWNER_WAIT_MS = 100 };

struct options {
	const char *user; /* list: only this user's */
	bool dry;
};

extern const struct dw_command owner_command;
extern struct options owner_options;

/* A grant, revoke or deny of one user; words for its three outcomes. */
struct verb {
	const char *name;    /* "grant" */
	const char *done;    /* "granted" */
	const char *already; /* nothing changed */
};

/* Each returns DW_OK or the error that gives the exit status; everything has been told. */
int change_users(const struct options *options, const struct verb *verb, const char *room, char **users, size_t count);
int import_users(const struct options *options, const struct verb *verb, const char *path);
int list_owners(const struct options *options, const char *room);

int open_client(struct dw_client **client);

#endif
