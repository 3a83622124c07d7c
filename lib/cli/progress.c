/* See progress.h. */
#include "cli/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "cli/opt.h"

enum { FIRST_MS = 1000, EVERY_MS = 200, COUNT_MS = 500, BLOCK = 64 * 1024 };

void
dw_progress_begin(struct dw_progress *progress, uint64_t total, int fd)
{
	const char *term = getenv("TERM");
	const uint64_t now = dw_mono_ms();

	*progress = (struct dw_progress) {
		.total = total, .counts = fd >= 0, .fd = fd, .from = fd >= 0 ? lseek(fd, 0, SEEK_CUR) : -1, .begun = now
	};
	if (!dw_common.quiet && term != NULL && strcmp(term, "dumb") != 0 && isatty(STDERR_FILENO))
		progress->due = now + FIRST_MS;
}

/* 0: not known, for the input is no file, or counting takes long. */
static uint64_t
count_lines(const struct dw_progress *progress)
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

static void
add_eta(struct dw_buf *text, unsigned long long left)
{
	dw_buf_adds(text, " eta ");
	if (left >= 3600)
		dw_buf_addf(text, "%llu:%02llu", left / 3600, left / 60 % 60);
	else
		dw_buf_addu(text, left / 60);
	dw_buf_addf(text, ":%02llu", left % 60);
}

void
dw_progress_tell(struct dw_progress *progress, uint64_t done, uint64_t rejected)
{
	struct dw_buf text = { 0 };
	unsigned long long rate, now;

	if (progress->due == 0 || (now = dw_mono_ms()) < progress->due)
		return;
	if (progress->counts)
		progress->total = count_lines(progress);
	progress->counts = false;
	progress->due = now + EVERY_MS;
	rate = done * 1000 / (now - progress->begun);
	dw_buf_addu(&text, done);
	if (progress->total > 0 && progress->total >= done)
		dw_buf_addf(&text, "/%llu %llu%%", (unsigned long long)progress->total,
			(unsigned long long)(done * 100 / progress->total));
	dw_buf_addf(&text, rate < 10000 ? " %llu/s" : " %lluk/s", rate < 10000 ? rate : rate / 1000);
	if (rejected > 0)
		dw_buf_addf(&text, " rejected %llu", (unsigned long long)rejected);
	if (progress->total >= done && rate > 0)
		add_eta(&text, (progress->total - done + rate - 1) / rate);
	if (dw_buf_ok(&text))
		fprintf(stderr, "\r%s\033[K", text.data);
	dw_buf_clear(&text);
	progress->shown = true;
}

void
dw_progress_hide(struct dw_progress *progress)
{
	if (progress->shown)
		fputs("\r\033[K", stderr);
	progress->shown = false;
}
