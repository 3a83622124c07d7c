/* How far long work is: a line on a terminal, written over itself, which comes when that has taken a second; nothing
 * off a terminal. To be told often how much is done, and hidden before anything else is said on stderr.
 *
 *   41200/50000 82% 18k/s rejected 2 eta 0:01
 */
#ifndef DIAGWS_PROGRESS_H
#define DIAGWS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct dw_progress {
	uint64_t total; /* 0: not known */
	/* private */
	bool shown, counts;
	int fd;
	off_t from;          /* where the input began */
	uint64_t begun, due; /* ms; due 0: never */
};

/* Something of `total` parts, or of so many lines as fd holds from here on (fd -1: no lines). */
void dw_progress_begin(struct dw_progress *progress, uint64_t total, int fd);
void dw_progress_tell(struct dw_progress *progress, uint64_t done, uint64_t rejected);
void dw_progress_hide(struct dw_progress *progress);

#endif
