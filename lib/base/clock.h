/* Time, randomness and digests. `dw_now_ms` counts since 1970 (UTC), `dw_mono_ms` from some start, never back. */
#ifndef DIAGWS_CLOCK_H
#define DIAGWS_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define DW_TIME_SIZE 25 /* "2026-01-31T23:59:59.123Z" and its NUL */
#define DW_HEX_ID_SIZE 33

uint64_t dw_now_ms(void);
uint64_t dw_mono_ms(void);
uint64_t dw_mono_us(void); /* the same in microseconds */
/* RFC 3339, UTC, milliseconds. */
void dw_time_text(uint64_t at_ms, char out[DW_TIME_SIZE]);
/* getrandom(2): for ids and incarnations. Ends the process when the kernel gives none. */
uint64_t dw_random(void);
/* 128 random bits as 32 hexadecimal digits. */
void dw_random_id(char out[DW_HEX_ID_SIZE]);
/* SHA-256 (FIPS 180-4) of parts that may lie apart, 32 bytes. */
void dw_sha256(const struct dw_str *parts, size_t count, uint8_t out[32]);

#endif
