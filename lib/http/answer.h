/* Answers in HTTP that are made whole, without libmicrohttpd. Pure.
 */
#ifndef DIAGWS_HTTP_ANSWER_H
#define DIAGWS_HTTP_ANSWER_H

#include <stdbool.h>

#include "base/buf.h"

/* Appends {"success":false,"error":{"code","message","field"},"detail"}; field may be NULL. */
void dw_http_write_error(struct dw_buf *out, const char *code, const char *message, const char *field);
/* Appends a whole answer with a body of JSON, after which the connection ends; headers: more of them, each with its
 * line's end. body: false for a HEAD. */
void dw_http_write_answer(struct dw_buf *out, int status, struct dw_str json, const char *headers, bool body);

#endif
