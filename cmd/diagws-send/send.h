/* diagws-send: what its files share. main.c reads the options, single.c and batch.c send, report.c tells.
 */
#ifndef DIAGWS_SEND_H
#define DIAGWS_SEND_H

#include <stdbool.h>
#include <stdint.h>

#include "diagws/client.h"
#include "diagws/msg.h"
#include "diagws/opt.h"
#include "diagws/wire.h"

enum { INPUT_MAX = 256 * 1024 }; /* bytes of a line, or of one message's text before white space is dropped */

struct options {
	const char *id;
	const char *room, *type; /* defaults for lines */
	bool lines, receipts, dry;
	int64_t window;
};

extern const struct dw_command send_command;

/* What happened, for the exit status and the last line. */
struct report {
	const char *source; /* "stdin", a file, or NULL: the command line */
	bool json, receipts, lines;
	bool output_broken;
	bool interrupted;
	uint64_t checked, stored, duplicates, rejected, failed, clients, queued;
	int fatal; /* an error that ended the whole run */
	int first; /* the first error of a message, for a single one's exit status */
};

void report_init(struct report *report, const struct options *options, const char *source);
/* One message's success. line: 1 for a single message. */
void report_stored(
	struct report *report, uint64_t line, struct dw_str room, struct dw_str id, const struct dw_stored *stored);
/* One message's failure; id: NULL when it has none yet; made: the id is not the sender's own. */
void report_failed(
	struct report *report, uint64_t line, int err, const struct dw_fault *fault, const char *id, bool made);
/* What ends the whole run; told once. */
void report_fatal(struct report *report, int err, const struct dw_fault *fault);
void report_flush(struct report *report);
/* Says the last line on a terminal and returns the exit status. */
int report_end(struct report *report);

/* Fills fault for an error that came without a message: what the client or the answer says of it. */
void explain(int err, const struct dw_client *client, const struct dw_wire *answer, struct dw_fault *fault);
/* Whether this error says that no later message will fare better. */
bool is_fatal(int err, const struct dw_wire *answer);
void set_publish(
	struct dw_wire *message, const char *room, const char *type, const char *id, const struct dw_buf *data);
/* Connects; on failure the error has been told. */
int open_client(struct dw_client **client, struct report *report, size_t window);
/* Standard input is needed and is a terminal: short help; returns DW_E_USAGE. */
int refuse_terminal(void);

/* Each returns the exit status. data: JSON, @FILE, "-" or NULL. */
int send_single(const struct options *options, const char *type, const char *room, const char *data);
int send_lines(const struct options *options, const char *path);

#endif
