/* What the fuzz targets share. Each is one file, LLVMFuzzerTestOneInput, and a property that any bytes must have: not
 * only that nothing crashes. Its header lines say what it links (`links:`, of the programs; all of lib/ is there), the
 * libraries
 * (`libs:`) and which functions it stands before (`wraps:`).
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The property does not hold: a finding, of which libFuzzer keeps the input. */
#define REQUIRE(condition)                                                                \
	do {                                                                                  \
		if (!(condition)) {                                                               \
			(void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                                      \
		}                                                                                 \
	} while (0)

static inline struct dw_str
fuzz_bytes(const struct dw_buf *buf)
{
	return (struct dw_str) { buf->data, buf->len };
}

static inline bool
fuzz_same(struct dw_str a, struct dw_str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* The first byte of the input; 0 where there is none. */
static inline uint8_t
fuzz_byte(const uint8_t **data, size_t *size)
{
	if (*size == 0)
		return 0;
	(*size)--;
	return *(*data)++;
}

#endif
