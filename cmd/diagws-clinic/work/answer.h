/* Answers: JSON as the calls write it. The commas come by themselves.
 */
#ifndef WORK_ANSWER_H
#define WORK_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* Each puts a comma where one is due, then `"name":` (NULL: an array's entry, which has no name) and the value. */
void put_open(struct dw_buf *out, const char *name, char bracket); /* '{' or '[' */
void put_close(struct dw_buf *out, char bracket);                  /* '}' or ']' */
void put_null(struct dw_buf *out, const char *name);
void put_bool(struct dw_buf *out, const char *name, bool value);
void put_integer(struct dw_buf *out, const char *name, int64_t value);
void put_optional(struct dw_buf *out, const char *name, int64_t value);  /* null for 0 */
void put_text(struct dw_buf *out, const char *name, struct dw_str text); /* null where text.p is NULL */
void put_diagnosis(struct dw_buf *out, const char *name, struct dw_str id);
void put_real(struct dw_buf *out, const char *name, double value);
/* value / parts: a score counts thousandths, a mean rating hundredths. */
void put_share(struct dw_buf *out, const char *name, int64_t value, int64_t parts);
/* The mean in hundredths, half up; null where n is 0. */
void put_average(struct dw_buf *out, const char *name, int64_t sum, int64_t n);
void put_time(struct dw_buf *out, const char *name, int64_t at);               /* "2026-12-01T14:00:00Z" */
void put_buf(struct dw_buf *out, const char *name, const struct dw_buf *json); /* what others have written */
/* What failed: {"code","message","field"}. */
void put_error(struct dw_buf *out, const char *name, int err, const struct dw_fault *fault);
/* The answer's beginning, {"success":true; its end is put_close. */
void put_success(struct dw_buf *out);

/* Cuts off what was appended since it had `len` bytes. */
void put_cut(struct dw_buf *out, size_t len);

#endif
