/* What commands share: how they begin, SIGINT, their connection to the hub, and the tables that they ask it for. */
#ifndef DIAGWS_COMMAND_H
#define DIAGWS_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/lines.h"
#include "cli/opt.h"
#include "cli/rows.h"
#include "client/client.h"

enum {
	DW_COMMAND_WAIT_MS = 100,  /* between two looks whether SIGINT came, or an answer is overdue */
	DW_EXIT_INTERRUPTED = 130, /* the exit status of a command that SIGINT ended early */
};

/* Reads the options and says where the operands begin. Where there is nothing more to do (--help, misuse) it ends the
 * process. From then on an stdout that nobody reads is an error of writing, not a signal. */
int dw_command_begin(const struct dw_command *command, int argc, char **argv);

/* Once, before other threads start. Returns a descriptor that SIGINT makes readable, or -1: it works as usual, or was
 * ignored at the start (a job in the background) and stays so. */
int dw_interrupt_fd(void);
/* Whether SIGINT has come; once it has, the next one ends the process. */
bool dw_interrupted(void);
/* poll(2) for reading on up to two descriptors (-1: none) and for SIGINT; timeout_ms -1: for ever.
 * Whether `input` is to be read: readable, ended or broken. */
bool dw_interrupt_wait(int input, int other, int timeout_ms);

/* dw_fault_print from "NAME: SOURCE:LINE"; source may be NULL, and line 0: that is then left out. */
void dw_command_tell(
	const char *name, const char *source, uint64_t line, int err, const struct dw_fault *fault, const char *hint);

/* A client of the hub that the options name; fails like dw_client_new. */
int dw_command_connect(struct dw_client **out, const char *name, size_t window, bool gathers, struct dw_fault *fault);

/* Waits for input where it is wanted, for the hub (client may be NULL) and for SIGINT, and reads the input that came.
 * hub_is_due: look again soon even if nothing comes. Fails like dw_lines_fill. */
int dw_command_wait(
	struct dw_lines *lines, bool wants_input, const struct dw_client *client, bool hub_is_due, struct dw_fault *fault);

/* Asks the hub for a table and waits for all its pages; *request is used up. A fault says what failed. DW_E_FIELD with
 * columns in *rows: there is no column of the name to sort by. */
int dw_command_ask(const char *name, struct dw_wire *request, struct dw_rows *rows, struct dw_fault *fault);

#endif
