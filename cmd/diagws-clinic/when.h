/* Times as people and files write them. */
#ifndef WHEN_H
#define WHEN_H

#include <stdbool.h>
#include <stdint.h>

enum { WHEN_SIZE = 21 }; /* "2026-12-01T14:00:00Z" and its NUL */

/* RFC 3339 (a fraction of a second is dropped), or whole seconds since 1970; false: neither, or not within the years
 * 1970 to 9999. */
bool when_parse(const char *text, int64_t *at);
void when_print(int64_t at, char out[WHEN_SIZE]);

#endif
