/* Lines in bounded memory (lines.h).
 *
 * One buffer holds what was read and not taken: [start, end). `scanned` is how far it was searched for a newline, so
 * that a line that comes in pieces is searched once. A line that outgrows the bound turns on `skipping`: its
 * bytes are dropped up to its newline, and it is told then, or at the end of input.
 */
#include "base/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 256 * 1024 };

int
dw_lines_open(struct dw_lines **out, const char *path, size_t max, struct dw_fault *fault)
{
	/* Two for the line's end, and always room for a block. */
	const size_t size = max + 2 + BLOCK;
	const bool is_stdin = path == NULL || strcmp(path, "-") == 0;
	const int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	struct dw_lines *lines;

	if (fd < 0)
		return dw_fault_set(fault, DW_E_NOINPUT, NULL, NULL, "cannot open '%s': %s", path, strerror(errno));
	lines = malloc(sizeof(*lines) + size);
	if (lines == NULL) {
		if (!is_stdin)
			(void)close(fd);
		return DW_E_NOMEM;
	}
	*lines = (struct dw_lines) { .fd = fd, .max = max, .size = size };
	lines->name = is_stdin ? "stdin" : path;
	*out = lines;
	return DW_OK;
}

void
dw_lines_destroy(struct dw_lines **lines_p)
{
	struct dw_lines *lines = *lines_p;

	if (lines == NULL)
		return;
	if (lines->fd != STDIN_FILENO)
		(void)close(lines->fd);
	free(lines);
	*lines_p = NULL;
}

/* Tells the line of n bytes that begins at `start`; `past` is where the next begins. */
static int
tell(struct dw_lines *lines, size_t n, size_t past, struct dw_str *line, uint64_t *number)
{
	const char *text = lines->buffer + lines->start;
	bool fits = !lines->skipping;

	if (n > 0 && text[n - 1] == '\r')
		n--;
	fits = fits && n <= lines->max;
	lines->start = lines->scanned = past;
	lines->skipping = false;
	*number = ++lines->number;
	if (!fits)
		return DW_E_TOO_BIG;
	*line = (struct dw_str) { text, n };
	return DW_OK;
}

int
dw_lines_next(struct dw_lines *lines, struct dw_str *line, uint64_t *number)
{
	const char *newline = memchr(lines->buffer + lines->scanned, '\n', lines->end - lines->scanned);
	const size_t held = lines->end - lines->start;

	if (newline != NULL) {
		const size_t at = (size_t)(newline - lines->buffer);

		return tell(lines, at - lines->start, at + 1, line, number);
	}
	lines->scanned = lines->end;
	if (lines->ended && (held > 0 || lines->skipping))
		return tell(lines, held, lines->end, line, number);
	/* One byte more than the bound may still be the CR of a line that fits. */
	if (held > lines->max + 1)
		lines->skipping = true;
	if (lines->skipping)
		lines->start = lines->scanned = lines->end = 0;
	return DW_E_AGAIN;
}

int
dw_lines_fill(struct dw_lines *lines, struct dw_fault *fault)
{
	ssize_t got;

	if (lines->ended)
		return DW_OK;
	if (lines->start > 0) {
		memmove(lines->buffer, lines->buffer + lines->start, lines->end - lines->start);
		lines->end -= lines->start;
		lines->scanned -= lines->start;
		lines->start = 0;
	}
	got = read(lines->fd, lines->buffer + lines->end, lines->size - lines->end);
	if (got > 0) {
		lines->end += (size_t)got;
		return DW_OK;
	}
	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return DW_OK;
	lines->ended = true;
	if (got == 0)
		return DW_OK;
	return dw_fault_set(fault, DW_E_NOINPUT, NULL, NULL, "cannot read: %s", strerror(errno));
}

bool
dw_lines_ended(const struct dw_lines *lines)
{
	return lines->ended && lines->start == lines->end && !lines->skipping;
}

bool
dw_line_is_blank(struct dw_str line)
{
	for (size_t i = 0; i < line.n; i++) {
		if (line.p[i] != ' ' && line.p[i] != '\t')
			return false;
	}
	return true;
}
