/* Answers in HTTP that are made whole, without libmicrohttpd. Pure.
 */
#ifndef ANSWER_H
#define ANSWER_H

#include <stdbool.h>

#include "base/buf.h"

/* Appends {"success":false,"error":{"code","message","field"},"detail"}; field may be NULL. */
void answer_error(struct dw_buf *out, const char *code, const char *message, const char *field);
/* Appends a whole answer with a body of JSON, after which the connection ends; headers: more of them, each with its
 * line's end. body: false for a HEAD. */
void answer_raw(struct dw_buf *out, int status, struct dw_str json, const char *headers, bool body);

#endif
