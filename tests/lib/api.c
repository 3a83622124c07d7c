/* libdiagws on a pipe, for the tests: each line of standard input is one call, its fields set apart by tabs; each
 * line of standard output is one answer as JSON.
 *
 *   api [ENDPOINT [TIMEOUT_MS [WINDOW]]]
 *
 * Its own program because the library is to be tried as others use it, linked as a shared library, against the real
 * hub. A field "-" is a NULL pointer. Every call answers with its err and what diagws_last_error says then; a message
 * that was sent without waiting answers once more, as {"done":…}, from its callback.
 *
 * Failure modes: a line that is no call ends the program with 64, for then the test is wrong.
 */
#include <inttypes.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "diagws.h"

enum { FIELDS = 8 };

struct driver {
	struct diagws *d;
	char *field[FIELDS];       /* NULL from the last on, and where the line has "-" */
	FILE *answer;              /* the rest of the present call's line */
	unsigned long long nested; /* publish from within this many callbacks */
};

static void
print_text(FILE *to, const char *name, const char *text)
{
	fprintf(to, ",\"%s\":\"", name);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', to);
		fputc(*text, to);
	}
	fputc('"', to);
}

static void
print_number(FILE *to, const char *name, uint64_t value)
{
	fprintf(to, ",\"%s\":%" PRIu64, name, value);
}

static void
print_receipt(FILE *to, const struct diagws_receipt *receipt)
{
	print_text(to, "id", receipt->id);
	print_number(to, "seq", receipt->seq);
	print_number(to, "n", receipt->n);
	print_number(to, "duplicate", receipt->duplicate);
	print_number(to, "notified", receipt->clients_notified);
	print_number(to, "queued", receipt->devices_queued);
	print_number(to, "delivered", receipt->delivered);
}

static void
print_done(void *user, int err, const struct diagws_receipt *receipt)
{
	struct driver *driver = user;

	printf("{\"done\":%d", err);
	print_receipt(stdout, receipt);
	if (driver->nested > 0) {
		driver->nested--;
		printf(",\"nested\":%d", diagws_publish(driver->d, "1", "x_update", "{}", 2, NULL, NULL));
	}
	puts("}");
}

static int
number(const struct driver *driver, size_t field)
{
	return (int)strtol(driver->field[field], NULL, 10);
}

static double
fraction(const struct driver *driver, size_t field)
{
	return strtod(driver->field[field], NULL);
}

/* ---- the calls: each returns its err and prints what else there is ---- */

static int
recommendation(struct driver *driver)
{
	char **field = driver->field;
	struct diagws_receipt receipt = { .seq = 99 };
	int err = diagws_broadcast_recommendation_update(driver->d, field[1], field[2], field[3], field[4], &receipt);

	print_receipt(driver->answer, &receipt);
	return err;
}

static int
effectiveness(struct driver *driver)
{
	struct diagws_receipt receipt = { .seq = 99 };
	int err = diagws_broadcast_effectiveness_update(driver->d, driver->field[1], number(driver, 2), fraction(driver, 3),
		fraction(driver, 4), number(driver, 5), &receipt);

	print_receipt(driver->answer, &receipt);
	return err;
}

static int
feedback(struct driver *driver)
{
	struct diagws_receipt receipt = { .seq = 99 };
	int err = diagws_broadcast_feedback_update(driver->d, driver->field[1], number(driver, 2), number(driver, 3),
		fraction(driver, 4), number(driver, 5), driver->field[6], &receipt);

	print_receipt(driver->answer, &receipt);
	return err;
}

static int
publish(struct driver *driver)
{
	char **field = driver->field;
	struct diagws_receipt receipt = { .seq = 99 };
	int err = diagws_publish(
		driver->d, field[1], field[2], field[3], field[3] != NULL ? strlen(field[3]) : 0, field[4], &receipt);

	print_receipt(driver->answer, &receipt);
	return err;
}

/* The same message count times, each with an id of its own: the prefix and its number. */
static int
send_many(struct driver *driver)
{
	char **field = driver->field;
	const int count = number(driver, 5);
	int err = 0;

	for (int i = 0; i < count && err == 0; i++) {
		char id[160] = "";

		(void)snprintf(id, sizeof(id), "%s%d", field[4] != NULL ? field[4] : "", i);
		err = diagws_send(driver->d, field[1], field[2], field[3], strlen(field[3]), field[4] != NULL ? id : NULL,
			print_done, driver);
	}
	return err;
}

static int
next(struct driver *driver)
{
	char **field = driver->field;
	const struct diagws_how how = { .id = field[1],
		.user = field[2],
		.exclude_session = field[3],
		.ttl_ms = strtoll(field[4], NULL, 10),
		.delivered = strtoull(field[5], NULL, 10),
		.deadline_ms = strtoll(field[6], NULL, 10) };

	return diagws_next(driver->d, &how);
}

static int
nest(struct driver *driver)
{
	driver->nested = strtoull(driver->field[1], NULL, 10);
	return 0;
}

/* As a program with a loop of its own does it: poll(2) on the descriptor, then what is there. */
static int
loop(struct driver *driver)
{
	struct pollfd ready = { .fd = diagws_fd(driver->d), .events = POLLIN };
	int left = diagws_poll(driver->d, 0);

	while (left > 0) {
		(void)poll(&ready, 1, 100);
		left = diagws_poll(driver->d, 0);
	}
	return left;
}

static int
poll_once(struct driver *driver)
{
	return diagws_poll(driver->d, number(driver, 1));
}

static int
flush(struct driver *driver)
{
	return diagws_flush(driver->d);
}

static int
counts(struct driver *driver)
{
	struct diagws_counts all = { .rooms = 99 };
	int err = diagws_connection_counts(driver->d, &all);

	print_number(driver->answer, "rooms", all.rooms);
	print_number(driver->answer, "connections", all.connections);
	print_number(driver->answer, "queued", all.queued);
	print_number(driver->answer, "retained", all.retained);
	print_number(driver->answer, "edges", all.edges);
	print_number(driver->answer, "head", all.head);
	return err;
}

static int
room_info(struct driver *driver)
{
	struct diagws_room room = { .connections = 99 };
	int err = diagws_room_info(driver->d, driver->field[1], &room);

	print_number(driver->answer, "connections", room.connections);
	print_number(driver->answer, "devices", room.devices);
	print_number(driver->answer, "queued", room.queued);
	print_number(driver->answer, "retained", room.retained);
	print_number(driver->answer, "head", room.head);
	print_number(driver->answer, "oldest", room.oldest);
	print_number(driver->answer, "n", room.n);
	return err;
}

static int
use_locale(struct driver *driver)
{
	if (setlocale(LC_NUMERIC, driver->field[1]) == NULL)
		return -1;
	print_text(driver->answer, "sign", localeconv()->decimal_point);
	return 0;
}

static const struct call {
	const char *name;
	size_t fields;
	int (*run)(struct driver *driver);
} calls[] = {
	{ "recommendation", 5, recommendation },
	{ "effectiveness", 6, effectiveness },
	{ "feedback", 7, feedback },
	{ "publish", 5, publish },
	{ "send", 6, send_many },
	{ "next", 7, next },
	{ "nest", 2, nest },
	{ "loop", 1, loop },
	{ "poll", 2, poll_once },
	{ "flush", 1, flush },
	{ "counts", 1, counts },
	{ "room", 2, room_info },
	{ "locale", 2, use_locale },
};

/* Callbacks print lines of their own during a call: its answer is printed whole, after it. */
static int
run_call(struct driver *driver, const struct call *call)
{
	char rest[1024] = "";
	int err;

	driver->answer = fmemopen(rest, sizeof(rest), "w");
	if (driver->answer == NULL)
		return EX_OSERR;
	err = call->run(driver);
	(void)fclose(driver->answer);
	printf("{\"err\":%d", err);
	print_text(stdout, "strerror", diagws_strerror(err < 0 ? err : 0));
	print_text(stdout, "error", diagws_last_error(driver->d));
	printf("%s}\n", rest);
	return 0;
}

static int
run_line(struct driver *driver, char *line)
{
	size_t given = 0;
	char *part;

	memset(driver->field, 0, sizeof(driver->field));
	line[strcspn(line, "\n")] = '\0';
	while (given < FIELDS && (part = strsep(&line, "\t")) != NULL)
		driver->field[given++] = strcmp(part, "-") != 0 ? part : NULL;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (given == calls[i].fields && driver->field[0] != NULL && strcmp(driver->field[0], calls[i].name) == 0)
			return run_call(driver, &calls[i]);
	}
	return EX_USAGE;
}

int
main(int argc, char **argv)
{
	struct diagws_options options = { .name = "api" };
	struct driver driver = { 0 };
	char *line = NULL;
	size_t size = 0;
	int status = 0, err;

	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	options.timeout_ms = argc > 2 ? strtol(argv[2], NULL, 10) : 0;
	options.window = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
	err = diagws_open(&driver.d, argc > 1 && argv[1][0] != '\0' ? argv[1] : NULL, argc > 2 ? &options : NULL);
	printf("{\"open\":%d", err);
	print_text(stdout, "version", diagws_version());
	puts("}");
	while (err == 0 && status == 0 && getline(&line, &size, stdin) > 0)
		status = run_line(&driver, line);
	free(line);
	diagws_close(&driver.d);
	diagws_close(&driver.d); /* of nothing is nothing */
	return status;
}
