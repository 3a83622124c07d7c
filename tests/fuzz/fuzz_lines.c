/* libs: jansson */
/* wraps: read */
/* Lines of input, as diagws-send -l reads them: in whatever pieces they come, each is told whole and once, with its
 * number, as a simple split of the whole has it; and each is a request or none, with a reason. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/lines.h"
#include "fuzz.h"
#include "message/msg.h"

/* What a read gives: at most so many bytes. */
static struct {
	int fd;
	size_t most;
	const uint8_t *data;
	size_t size, at;
} input = { .fd = -1 };

ssize_t __real_read(int fd, void *to, size_t n);
ssize_t __wrap_read(int fd, void *to, size_t n);

ssize_t
__wrap_read(int fd, void *to, size_t n)
{
	size_t size = input.size - input.at;

	if (fd != input.fd)
		return __real_read(fd, to, n);
	size = size < n ? size : n;
	size = size < input.most ? size : input.most;
	if (size > 0)
		memcpy(to, input.data + input.at, size);
	input.at += size;
	return (ssize_t)size;
}

/* The next line by the book; false: there is none. */
static bool
split(struct dw_str *rest, struct dw_str *line)
{
	const char *newline = rest->n > 0 ? memchr(rest->p, '\n', rest->n) : NULL;

	if (rest->n == 0)
		return false;
	*line = (struct dw_str) { rest->p, newline != NULL ? (size_t)(newline - rest->p) : rest->n };
	*rest = (struct dw_str) { rest->p + line->n + (newline != NULL), rest->n - line->n - (newline != NULL) };
	if (line->n > 0 && line->p[line->n - 1] == '\r')
		line->n--;
	return true;
}

static void
take_request(struct dw_str line)
{
	struct dw_fault fault = { 0 };
	struct dw_request request = { 0 };

	if (dw_request_general(&request, "7", "note_update", line.p, line.n, &fault) != DW_OK)
		REQUIRE(fault.message[0] != '\0');
	dw_request_clear(&request);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const size_t max = (size_t)fuzz_byte(&data, &size) * 4 + 1, most = (size_t)fuzz_byte(&data, &size) * 2 + 1;
	struct dw_str rest = { (const char *)data, size }, line, want;
	struct dw_lines *lines;
	uint64_t number, count = 0;
	int err;

	REQUIRE(dw_lines_open(&lines, "/dev/null", max, NULL) == DW_OK);
	input.fd = lines->fd;
	input.most = most;
	input.data = data;
	input.size = size;
	input.at = 0;
	while ((err = dw_lines_next(lines, &line, &number)) != DW_E_AGAIN || !dw_lines_ended(lines)) {
		if (err == DW_E_AGAIN) {
			REQUIRE(dw_lines_fill(lines, NULL) == DW_OK);
			continue;
		}
		REQUIRE(split(&rest, &want) && number == ++count);
		REQUIRE(err == (want.n <= max ? DW_OK : DW_E_TOO_BIG));
		if (err == DW_OK) {
			REQUIRE(fuzz_same(line, want));
			take_request(line);
		}
	}
	REQUIRE(!split(&rest, &want));
	dw_lines_destroy(&lines);
	return 0;
}
