/* Sessions that have ended, until the hub surely knows: what a client confirmed last is known to its edge alone, and a
 * hub that is away, or is killed before it wrote that, would send it again.
 *
 * To a hub that welcomes us each comes back and leaves once more. DEPARTED_MAX are kept, the newest.
 */
#ifndef DEPARTED_H
#define DEPARTED_H

#include <stddef.h>
#include <stdint.h>

#include "diagws/wire.h"

enum {
	DEPARTED_MAX = 16 * 1024,
	DEPARTED_MS = 1000, /* what the hub was told so long before a PING that it has answered it has written */
};

struct uplink;

struct departure {
	struct departure *prev, *next;
	uint64_t told_at, opened_at; /* dw_mono_ms */
	struct dw_join join;         /* how it comes back, but for what follows from where we stand then */
	struct dw_leave leave;
	char names[]; /* of both */
};

struct departed {
	struct departure *list; /* utlist, oldest first */
	size_t count;
};

/* Copies what they hold. Without memory it is not kept. */
void departed_add(struct departed *departed, const struct dw_join *join, const struct dw_leave *leave);
/* The hub is there: they come back and leave once more. */
void departed_tell(struct departed *departed, struct uplink *uplink);
/* The hub has answered a PING of this time. */
void departed_known(struct departed *departed, uint64_t pinged_at);
void departed_clear(struct departed *departed);

#endif
