/* The target of a request: its path and its arguments.
 */
#ifndef TARGET_H
#define TARGET_H

#include <stddef.h>

#include "door/head.h"

/* Bytes that a URL has, escapes that are whole, no path that means another one. It begins with its path. */
enum head_fault target_check(struct dw_str target, struct dw_str path);
/* The value of the first argument of this name in the query, decoded into out; NULL: there is none. One that does not
 * fit in is cut. */
const char *target_argument(const struct head *head, const char *name, char *out, size_t size);

#endif
