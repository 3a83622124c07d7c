/* What a request's URL and headers say, checked: arguments, token, Origin. Shared by ws.c and http.c.
 */
#ifndef PARAMS_H
#define PARAMS_H

#include <stdbool.h>
#include <stddef.h>

#include "door/check.h"
#include "diagws/auth.h"

struct edge;
struct lws;

/* The first argument of this name. false: not there. One that does not fit in size is cut at its last byte by a
 * character that no grammar allows, so that it is refused and never mistaken. */
bool params_get(struct lws *wsi, const char *name, char *out, size_t size);
bool params_has_token(struct lws *wsi);
/* Token from `Authorization: Bearer` or ?token=, checked now or later: see check_begin. */
int params_authorize(
	struct edge *edge, struct lws *wsi, struct dw_claims *claims, struct check **slot, check_done *done, void *user);
/* No Origin header, one on the list of --origin ('*': any), or the one that the request's Host has. */
bool params_origin_ok(const struct edge *edge, struct lws *wsi);
/* Bytes of the URL, and of all headers that libwebsockets keeps. */
size_t params_url_size(struct lws *wsi);
size_t params_headers_size(struct lws *wsi);

#endif
