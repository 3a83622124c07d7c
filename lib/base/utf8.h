/* UTF-8 (RFC 3629) judged piece by piece, as it arrives: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef DIAGWS_UTF8_H
#define DIAGWS_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero at the begin of a text. */
struct dw_utf8 {
	uint8_t left;      /* bytes that the character begun still needs; 0: a text may end here */
	uint8_t low, high; /* what the next of them may be */
};

/* The next n bytes. False: they are no UTF-8, and the text is lost. */
bool dw_utf8_take(struct dw_utf8 *utf8, const void *bytes, size_t n);
/* The size of the character that n bytes begin with; 0: it is none, or not whole. */
size_t dw_utf8_character(const void *bytes, size_t n);

#endif
