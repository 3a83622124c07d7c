/* Origins (RFC 6454): whose pages may use this edge from a browser.
 *
 * The list of --origin, for WebSockets and for the HTTP API's CORS; what a browser sends is compared with it in the one
 * form that section 6.2 of the RFC gives an origin.
 */
#ifndef DIAGWS_HTTP_ORIGIN_H
#define DIAGWS_HTTP_ORIGIN_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "cli/opt.h"

enum { DW_HTTP_ORIGIN_SIZE = 320 };

/* SCHEME "://" HOST [ ":" PORT ]: scheme and host in lower case, without the scheme's own port. false, and out is
 * undefined: it is no origin; so of `null`, and of what has a path, a user or a query. */
bool dw_http_origin_normalize(struct dw_str text, char out[DW_HTTP_ORIGIN_SIZE]);
/* Makes the list what dw_http_origin_allowed wants: normalized (into texts, which must live as long), each once.
 * DW_E_CONFIG: one is neither an origin nor '*'. */
int dw_http_origins_prepare(
	struct dw_opt_list *list, char texts[DW_OPT_LIST_MAX][DW_HTTP_ORIGIN_SIZE], struct dw_fault *fault);
/* Whether an Origin header lets in: one on the list, any where '*' is on it, or the one that the request's own Host
 * names. Of that one the scheme is not known, for something may have taken TLS off before us: it may be http or https.
 */
bool dw_http_origin_allowed(const struct dw_opt_list *list, struct dw_str origin, struct dw_str host);

#endif
