/* How far a long batch is: one line on a terminal, written over itself.
 *
 *   41200/50000 82% 18k/s rejected 2 eta 0:01
 *
 * Its own file because it is only decoration: nothing depends on it, and it stays out of the way of errors, receipts
 * and whatever is no terminal. It first comes when the batch has taken a second. How many lines there are is counted
 * then, where the input is a file; where it is not, or counting takes long, the total and what needs it are left out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/opt.h"
#include "send.h"

enum { FIRST_MS = 1000, EVERY_MS = 200, COUNT_MS = 500, BLOCK = 64 * 1024 };

void
progress_begin(struct progress *progress, const struct report *report, int fd)
{
	const char *term = getenv("TERM");
	const bool is_mixed = (report->json || report->receipts) && isatty(STDOUT_FILENO);

	*progress = (struct progress) { .fd = fd, .from = lseek(fd, 0, SEEK_CUR), .begun = dw_mono_ms() };
	progress->on = !dw_common.quiet && !is_mixed && term != NULL && strcmp(term, "dumb") != 0 && isatty(STDERR_FILENO);
	progress->due = progress->begun + FIRST_MS;
}

/* 0: not known. */
static uint64_t
count_lines(const struct progress *progress)
{
	const uint64_t until = dw_mono_ms() + COUNT_MS;
	static char block[BLOCK];
	uint64_t count = 0;
	off_t at = progress->from;
	struct stat about;
	char last = '\n';
	ssize_t got;

	if (at < 0 || fstat(progress->fd, &about) != 0 || !S_ISREG(about.st_mode))
		return 0;
	while ((got = pread(progress->fd, block, sizeof(block), at)) > 0 && dw_mono_ms() < until) {
		const char *const end = block + got;

		for (const char *p = block; (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++)
			count++;
		last = end[-1];
		at += got;
	}
	return got == 0 ? count + (last != '\n') : 0;
}

void
progress_tell(struct progress *progress, uint64_t done, uint64_t rejected)
{
	const uint64_t now = progress->on ? dw_mono_ms() : 0;
	struct dw_buf text = { 0 };
	uint64_t rate, left;

	if (!progress->on || now < progress->due)
		return;
	if (!progress->counted)
		progress->total = count_lines(progress);
	progress->counted = true;
	progress->due = now + EVERY_MS;
	rate = done * 1000 / (now - progress->begun);
	dw_buf_addu(&text, done);
	if (progress->total > 0 && progress->total >= done)
		dw_buf_addf(&text, "/%llu %llu%%", (unsigned long long)progress->total,
			(unsigned long long)(done * 100 / progress->total));
	dw_buf_addf(&text, " %llu%s/s", (unsigned long long)(rate < 10000 ? rate : rate / 1000), rate < 10000 ? "" : "k");
	if (rejected > 0)
		dw_buf_addf(&text, " rejected %llu", (unsigned long long)rejected);
	if (progress->total >= done && rate > 0) {
		left = (progress->total - done + rate - 1) / rate;
		dw_buf_adds(&text, " eta ");
		if (left >= 3600)
			dw_buf_addf(&text, "%llu:%02llu", (unsigned long long)left / 3600, (unsigned long long)left / 60 % 60);
		else
			dw_buf_addu(&text, left / 60);
		dw_buf_addf(&text, ":%02llu", (unsigned long long)left % 60);
	}
	if (dw_buf_ok(&text))
		fprintf(stderr, "\r%s\033[K", text.data);
	dw_buf_clear(&text);
	progress->shown = true;
}

void
progress_hide(struct progress *progress)
{
	if (progress->shown)
		fputs("\r\033[K", stderr);
	progress->shown = false;
}
