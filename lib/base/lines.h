/* Lines from a file or from standard input, as they come, in bounded memory.
 *
 *   for (;;) {
 *       err = dw_lines_next(lines, &line, &number);     take what is there
 *       if (err == DW_E_AGAIN && dw_lines_ended(lines)) break;
 *       if (err == DW_E_AGAIN) { poll(lines->fd); dw_lines_fill(lines); }
 *   }
 *
 * A line ends at "\n", "\r\n" or the end of input; neither belongs to it. One longer than the bound
 * is skipped, in whole, and told by its number: it is never cut.
 */
#ifndef DIAGWS_LINES_H
#define DIAGWS_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct dw_lines {
	int fd;
	const char *name; /* for messages: the path, or "stdin" */
	/* private */
	bool ended, skipping;
	uint64_t number; /* of the last line told */
	size_t max, start, scanned, end, size;
	char buffer[];
};

/* path: NULL or "-" is standard input, which is not read yet. max: bytes of a line, ≥ 1.
 * DW_E_NOINPUT, DW_E_NOMEM. */
int dw_lines_open(struct dw_lines **out, const char *path, size_t max, struct dw_fault *fault);
void dw_lines_destroy(struct dw_lines **lines_p); /* closes a file, not standard input */

/* The next line and its number from 1. DW_E_TOO_BIG: the line of this number was too long and is
 * passed. DW_E_AGAIN: none is complete yet, or there is none left (dw_lines_ended). *line is valid until the
 * next dw_lines_fill. */
int dw_lines_next(struct dw_lines *lines, struct dw_str *line, uint64_t *number);
/* It has nothing but spaces and tabs. */
bool dw_line_is_blank(struct dw_str line);
/* Reads once, what read(2) gives; waits if nothing is there. DW_OK also for a signal and at the end.
 * DW_E_NOINPUT: reading failed; the input counts as ended. Only after DW_E_AGAIN. */
int dw_lines_fill(struct dw_lines *lines, struct dw_fault *fault);
bool dw_lines_ended(const struct dw_lines *lines);

#endif
