/* Files of a web page: all of a folder, and of its folder `icons`, read into memory once and served by their paths;
 * "/" is index.html. Each has a content type by its ending, an ETag (If-None-Match gives 304), `Cache-Control:
 * no-cache`, nosniff, `Referrer-Policy: no-referrer` and the program's Content-Security-Policy. They need no token, and
 * count as requests of strangers.
 */
#ifndef DIAGWS_HTTP_FILES_H
#define DIAGWS_HTTP_FILES_H

#include "base/err.h"
#include "http/route.h"

enum { DW_HTTP_FILES_MAX = 64, DW_HTTP_FILE_MAX = 1024 * 1024, DW_HTTP_ALL_FILES_MAX = 8 * 1024 * 1024 };

struct dw_http_files;

/* Reads the folder; option: who names it, for faults ("--www"). csp must live as long. DW_E_CONFIG (no such folder, no
 * index.html, too many or too large, an ending that is not known: by name), DW_E_NOINPUT, DW_E_NOMEM. Names that begin
 * with '.' are passed over. */
int dw_http_files_new(
	struct dw_http_files **out, const char *folder, const char *option, const char *csp, struct dw_fault *fault);
void dw_http_files_destroy(struct dw_http_files **files_p);
/* For dw_http_config and dw_http_serve_config; NULL of NULL. */
const struct dw_http_route *dw_http_files_routes(const struct dw_http_files *files);

#endif
