/* diagws-send: what its files share. main.c takes a way, options.c has the options, single.c and batch.c send,
 * report.c and progress.c tell.
 */
#ifndef DIAGWS_SEND_H
#define DIAGWS_SEND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cli/opt.h"
#include "client/client.h"
#include "message/msg.h"
#include "wire/wire.h"

enum { INPUT_MAX = 256 * 1024 }; /* bytes of a line, or of one message's text before white space is dropped */

struct options {
	const char *id;
	const char *room, *type; /* defaults for lines */
	const char *to;          /* NULL: everyone; a line's own goes before, and so with ttl_ms */
	int64_t ttl_ms;          /* 0: as long as the room keeps it */
	int64_t wait, wait_ms;   /* for so many devices; 0: not */
	bool lines, receipts, dry;
	int64_t window; /* 0: it grows */
};

extern const struct dw_command send_command;
extern struct options send_options;

/* The line that says how far a batch is; nothing off a terminal. */
struct progress {
	bool on, shown, counted;
	int fd;
	off_t from;          /* where the input began */
	uint64_t total;      /* lines; 0: not known */
	uint64_t begun, due; /* ms */
};

/* What happened, for the exit status and the last line. */
struct report {
	struct progress progress;
	const char *source; /* "stdin", a file, or NULL: the command line */
	bool json, receipts, lines;
	bool output_broken;
	bool interrupted;
	uint64_t wait, wait_ms; /* as in options */
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

void progress_begin(struct progress *progress, const struct report *report, int fd);
/* To be called often; done: lines that are over. */
void progress_tell(struct progress *progress, uint64_t done, uint64_t rejected);
/* Before anything else is said on stderr. */
void progress_hide(struct progress *progress);

void report_init(struct report *report, const struct options *options, const char *source);
/* Tells what the hub said of a message, or that it said nothing. false: it is stored, and a second answer will say who
 * has it. */
bool report_answer(struct report *report, struct message *message, const struct dw_client *client, int err,
	const struct dw_wire *answer);
/* One message's failure. */
void report_failed(struct report *report, const struct message *message, int err, const struct dw_fault *fault);
/* What ends the whole run; told once. */
void report_fatal(struct report *report, int err, const struct dw_fault *fault);
void report_flush(struct report *report);
/* Says the last line on a terminal and returns the exit status. */
int report_end(struct report *report);

/* What the options say of every message is filled in too. */
void set_publish(struct dw_wire *message, const struct options *options, const char *room, const char *type,
	const char *id, const struct dw_buf *data);
/* Connects; fails like dw_client_new. */
int open_client(struct dw_client **client, size_t window, struct dw_fault *fault);
/* Whether they go together, with these operands; what is wrong has been told. */
int check_options(int count, char **operands);
/* Standard input is needed and is a terminal: short help; returns DW_E_USAGE. */
int refuse_terminal(void);

/* Each returns the exit status. data: JSON, @FILE, "-" or NULL. */
int send_single(const struct options *options, const char *type, const char *room, const char *data);
int send_lines(const struct options *options, const char *path);

#endif
