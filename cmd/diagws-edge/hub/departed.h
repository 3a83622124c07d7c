/* Sessions that have ended, until the hub surely knows: what a client confirmed last is known to its edge alone, and a
 * hub that is away, or is killed before it wrote that, would send it again.
 *
 * Only of devices that are not derived, which have one connection: it has ended. A hub that welcomes us is told of
 * them with LEAVE, which says whose device that was; DEPARTED_AT_ONCE each time.
 */
#ifndef DEPARTED_H
#define DEPARTED_H

#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

enum {
	DEPARTED_MAX = 16 * 1024, /* are kept, the newest */
	DEPARTED_AT_ONCE = 1000,
	DEPARTED_MS = 1000, /* what the hub was told so long before a PING that it has answered it has written */
};

struct departure {
	struct departure *prev, *next;
	uint64_t told_at; /* dw_mono_ms; of those from `next` on: before it came back */
	struct dw_leave leave;
	char names[];
};

struct departed {
	struct departure *list; /* utlist, oldest first */
	struct departure *next; /* the first that is to be told again; NULL: none */
	size_t count;
};

/* Copies what it holds, user and device too. Without memory it is not kept. */
void departed_add(struct departed *departed, const struct dw_leave *leave);
/* The hub has come (back): it is to be told again. */
void departed_again(struct departed *departed);
/* What it is told next. NULL: nothing. */
const struct dw_leave *departed_next(struct departed *departed);
/* The hub has answered a PING of this time. */
void departed_known(struct departed *departed, uint64_t pinged_at);
void departed_clear(struct departed *departed);

#endif
