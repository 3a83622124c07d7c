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

/* The first argument of this name. false: not there. One that does not fit in size is cut at its last byte by a
 * character that no grammar allows, so that it is refused and never mistaken. */
bool params_get(struct lws *wsi, const char *name, char *out, size_t size);
/* Token from `Authorization: Bearer` or ?token=, checked now or later: see check_begin. */
int params_authorize(struct edge *edge, struct lws *wsi, const struct address *address, struct dw_claims *claims,
	struct check **slot, check_done *done, void *user);

#endif
