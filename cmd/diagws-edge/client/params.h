/* What an upgrade's URL and headers say: arguments and token. Its own file because libwebsockets keeps them its own
 * way.
 */
#ifndef PARAMS_H
#define PARAMS_H

#include <stdbool.h>
#include <stddef.h>

#include "door/check.h"
#include "token/auth.h"

struct address;
struct edge;
struct lws;

/* The first argument of this name. false: not there. In place of one that does not fit in size, out is "\n", which no
 * argument may be: so it is refused, and never mistaken for a shorter one. */
bool params_get(struct lws *wsi, const char *name, char *out, size_t size);
/* Token from `Authorization: Bearer` or ?token=, checked now or later: see check_begin. */
int params_authorize(struct edge *edge, struct lws *wsi, const struct address *address, struct dw_claims *claims,
	struct check **slot, check_done *done, void *user);

#endif
