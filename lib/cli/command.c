/* What commands share: beginning, SIGINT, connecting to the hub and asking it for a table.
 *
 * SIGINT is blocked and read from a signalfd(2): no handler runs, so there is no moment between looking and waiting in
 * which one could be lost. When it came it is unblocked, so that a second one ends the process. Failure modes: misuse
 * ends the process; no signalfd leaves SIGINT as it is; a hub that does not answer, or not with a table, is told in a
 * fault.
 */
#include "cli/command.h"

#include <fcntl.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { WHERE_SIZE = 4200 };

/* A page that is waited for, and the entry behind which the next one goes on. */
struct page {
	struct dw_rows *rows;
	char room[DW_ROOM_MAX + 1], user[DW_USER_MAX + 1];
	int err;
};

static int descriptor = -1;
static bool came;
static sigset_t interrupt_set; /* SIGINT alone */

/* Fills standard streams that are closed with something that fails when it is used, so that no socket takes their
 * numbers. */
static void
hold_streams(void)
{
	/* The lowest number that is free is given: with these open, it is not one of theirs. */
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0)
			(void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
	}
}

int
dw_command_begin(const struct dw_command *command, int argc, char **argv)
{
	int first = argc, err;

	hold_streams();
	err = dw_opt_parse(command, argc, argv, &first);
	if (err != DW_OK)
		exit(err == DW_OPT_DONE ? 0 : dw_err_exit(err));
	(void)signal(SIGPIPE, SIG_IGN);
	(void)setlocale(LC_CTYPE, "C.UTF-8"); /* how wide characters are, in tables; nothing else depends on it */
	return first;
}

int
dw_interrupt_fd(void)
{
	struct sigaction now;

	if (sigaction(SIGINT, NULL, &now) != 0 || now.sa_handler == SIG_IGN)
		return -1;
	(void)sigemptyset(&interrupt_set);
	(void)sigaddset(&interrupt_set, SIGINT);
	descriptor = signalfd(-1, &interrupt_set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (descriptor >= 0)
		(void)sigprocmask(SIG_BLOCK, &interrupt_set, NULL);
	return descriptor;
}

bool
dw_interrupted(void)
{
	struct signalfd_siginfo info;

	if (descriptor < 0 || read(descriptor, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return came;
	came = true;
	(void)close(descriptor);
	descriptor = -1;
	(void)sigprocmask(SIG_UNBLOCK, &interrupt_set, NULL);
	return came;
}

bool
dw_interrupt_wait(int input, int other, int timeout_ms)
{
	struct pollfd set[3] = {
		{ .fd = input, .events = POLLIN },
		{ .fd = other, .events = POLLIN },
		{ .fd = descriptor, .events = POLLIN },
	};

	return poll(set, 3, timeout_ms) > 0 && set[0].revents != 0;
}

void
dw_command_tell(
	const char *name, const char *source, uint64_t line, int err, const struct dw_fault *fault, const char *hint)
{
	char where[WHERE_SIZE], number[24] = "";

	if (line > 0)
		(void)snprintf(number, sizeof(number), ":%llu", (unsigned long long)line);
	(void)snprintf(where, sizeof(where), "%s%s%s%s", name, source != NULL ? ": " : "", source != NULL ? source : "",
		source != NULL ? number : "");
	dw_fault_print(stderr, where, err, fault, hint);
}

int
dw_command_connect(struct dw_client **out, const char *name, size_t window, bool gathers, struct dw_fault *fault)
{
	const struct dw_client_config config = { .endpoint = dw_common.endpoint,
		.name = name,
		.timeout_ms = dw_common.timeout_ms,
		.window = window,
		.gathers = gathers };

	return dw_client_new(out, &config, fault);
}

int
dw_command_wait(
	struct dw_lines *lines, bool wants_input, const struct dw_client *client, bool hub_is_due, struct dw_fault *fault)
{
	const int input = wants_input ? lines->fd : -1, hub = client != NULL ? dw_client_fd(client) : -1;

	return dw_interrupt_wait(input, hub, hub_is_due ? DW_COMMAND_WAIT_MS : -1) ? dw_lines_fill(lines, fault) : DW_OK;
}

static void
take_page(void *user, int err, const struct dw_wire *message)
{
	const struct dw_table *table = message != NULL && message->kind == DW_TABLE ? &message->table : NULL;
	struct page *page = user;

	if (table != NULL && (err == DW_OK || table->columns.n > 0)) {
		const int added = dw_rows_add(page->rows, table);

		err = added != DW_OK ? added : err;
		(void)dw_str_copy(table->room, page->room, sizeof(page->room));
		(void)dw_str_copy(table->user, page->user, sizeof(page->user));
	} else if (err == DW_OK) {
		err = DW_E_PROTOCOL;
	}
	page->err = err;
}

int
dw_command_ask(const char *name, struct dw_wire *request, struct dw_rows *rows, struct dw_fault *fault)
{
	const bool in_pages = request->kind == DW_OWN;
	struct page page = { .rows = rows };
	struct dw_client *client = NULL;
	int err = dw_command_connect(&client, name, 1, false, fault);

	if (err != DW_OK)
		return err;
	do {
		if (in_pages) {
			request->own.after_room = dw_str(page.room);
			request->own.after_user = dw_str(page.user);
		}
		err = dw_client_ask(client, request, take_page, &page);
		if (err == DW_OK) {
			(void)dw_client_flush(client);
			err = page.err;
		}
		if (err == DW_OK && in_pages && rows->more && (page.room[0] == '\0' || page.user[0] == '\0'))
			err = DW_E_PROTOCOL;
	} while (err == DW_OK && in_pages && rows->more);
	if (err != DW_OK)
		dw_client_explain(client, err, fault);
	dw_client_destroy(&client);
	return err;
}
