/* The hub's options (options.c), and what may be done at a socket. */
#ifndef DIAGWS_HUB_OPTIONS_H
#define DIAGWS_HUB_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/paths.h"
#include "room/room.h"
#include "wire/router.h"

/* What may be done at a socket (see the table in dispatch.c). */
enum role { ROLE_EDGE = 1, ROLE_SENDER = 2, ROLE_STAT = 4, ROLE_ADMIN = 8, ROLE_ALL = 15 };

struct options {
	struct dw_bind binds[DW_ROUTER_BINDS_MAX];
	size_t bind_count;
	const char *state_dir; /* never NULL after options_check */
	enum dw_ownership ownership;
	int64_t queue_limit, queue_ttl_ms, cursor_ttl_ms, id_window_ms;
	int64_t store_limit, memory_limit, max_sessions;
	bool check; /* -t */
	char default_bind[DW_PATH_SIZE], default_dir[DW_PATH_SIZE];
};

/* DW_OK, DW_OPT_DONE, or the error, which has been printed. */
int options_read(struct options *options, int argc, char **argv);

#endif
