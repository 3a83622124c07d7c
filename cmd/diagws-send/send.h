/* diagws-send: what its files share. main.c has the options, send.c sends, report.c tells. */
#ifndef DIAGWS_SEND_H
#define DIAGWS_SEND_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/progress.h"
#include "client/client.h"
#include "message/msg.h"
#include "wire/wire.h"

#define SEND_NAME "diagws-send"

struct options {
	const char *id;
	const char *room, *type; /* defaults for lines */
	bool lines, receipts, dry;
	int64_t window;            /* 0: it grows */
	struct dw_publish publish; /* what holds for every message; a line's own user and ttl go before */
};

/* What happened, for the exit status and the last line. */
struct report {
	const struct options *options;
	struct dw_progress progress;
	const char *source; /* "stdin", a file, or NULL: the command line */
	bool json, receipts;
	bool output_broken;
	uint64_t checked, stored, duplicates, rejected, failed, undelivered, clients, queued;
	int fatal; /* an error that ended the whole run */
	int first; /* the first error of a message, for a single one's exit status */
};

/* A message, and what is known of it. */
struct message {
	uint64_t line; /* 1 for a single one */
	char room[DW_ROOM_MAX + 1];
	char id[DW_ID_MAX + 1]; /* "" while it has none */
	bool made;              /* the id is not the sender's own */
	bool stored;
	struct dw_stored receipt; /* without its text */
};

void report_init(struct report *report, const struct options *options);
/* The line that says how far a batch is, which comes when that has taken a second; nothing off a terminal. To be told
 * often how many lines are over, and hidden before anything else is said on stderr. */
void report_begin_progress(struct report *report, int fd);
void report_tell_progress(struct report *report, uint64_t done);
void report_hide_progress(struct report *report);
/* Tells what the hub said of a message, or that it said nothing. false: it is stored, and a second answer will say who
 * has it. */
bool report_answer(struct report *report, struct message *message, const struct dw_client *client, int err,
	const struct dw_wire *answer);
/* The failure of one message, with its receipt unless it was told as stored. */
void report_failed(struct report *report, const struct message *message, int err, const struct dw_fault *fault);
/* What ends the whole run; told once. */
void report_fatal(struct report *report, int err, const struct dw_fault *fault);
void report_flush(struct report *report);
/* Says the last line on a terminal and returns the exit status. */
int report_end(struct report *report);

/* Each returns the exit status. data: JSON or @FILE; it and path NULL: standard input. */
int send_single(const struct options *options, const char *type, const char *room, const char *data);
int send_lines(const struct options *options, const char *path);

#endif
