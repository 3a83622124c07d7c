/* diagws-owner grant, revoke, deny and import: changes, up to a window of them unanswered.
 *
 * Its own file because a list of users and a file of lines are the same work: each change is asked as it comes and
 * told when it is durable. A line of an import that is wrong is told by its number and passed.
 *
 * Failure modes: a hub that does not answer ends the import, with the line from which to go on; the changes are
 * idempotent, so running it again from the start does no harm.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/lines.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "json/json.h"
#include "owner.h"

enum { LINE_MAX_BYTES = 4096, WINDOW = 256 };

struct changes;

/* A change under way. */
struct item {
	struct changes *changes;
	uint64_t line; /* 0: of a command line */
	char room[DW_ROOM_MAX + 1];
	char user[DW_USER_MAX + 1];
};

struct changes {
	const struct verb *verb;
	bool dry;
	struct dw_client *client;
	struct dw_lines *lines; /* NULL: a command line */
	bool tells;             /* what changed is printed */
	bool stop;
	bool told_fatal;
	int err; /* what the exit status is for: the hub's failures before wrong lines */
};

static void
note_error(struct changes *changes, int err)
{
	if (changes->err == DW_OK || (dw_err_exit(changes->err) == 65 && dw_err_exit(err) != 65))
		changes->err = err;
}

static void
tell_fault(struct changes *changes, uint64_t line, int err, const struct dw_fault *fault)
{
	note_error(changes, err);
	dw_command_tell(OWNER_NAME, line > 0 ? changes->lines->name : NULL, line, err, fault, NULL);
}

static void
tell_change(const struct changes *changes, const struct item *item, bool changed)
{
	if (changes->dry && changed)
		(void)printf("would %s %s %s\n", changes->verb->name, item->room, item->user);
	else if (!changes->dry && changes->tells)
		(void)printf("%s %s %s\n", changed ? changes->verb->done : changes->verb->already, item->room, item->user);
}

static void
take_answer(void *user, int err, const struct dw_wire *answer)
{
	struct item *item = user;
	struct changes *changes = item->changes;
	struct dw_fault fault = { 0 };

	if (err == DW_OK && answer != NULL && answer->kind == DW_OWNED) {
		tell_change(changes, item, answer->owned.changed);
	} else if (answer != NULL) {
		err = err == DW_OK ? DW_E_PROTOCOL : err;
		(void)dw_fault_set(&fault, err, NULL, NULL, "cannot %s %s %s: %s", changes->verb->name, item->room, item->user,
			dw_err_text(err));
		tell_fault(changes, item->line, err, &fault);
	} else {
		dw_client_explain(changes->client, err, &fault);
		note_error(changes, err);
		if (!changes->told_fatal)
			dw_fault_print(stderr, OWNER_NAME, err, &fault, NULL);
		changes->told_fatal = true;
	}
	changes->stop = changes->stop || changes->told_fatal || dw_err_exit(err) == 75;
	free(item);
}

static void
ask(struct changes *changes, const struct item *change)
{
	struct item *item = malloc(sizeof(*item));
	struct dw_wire request = { .kind = DW_OWN };
	int err;

	if (item == NULL) {
		tell_fault(changes, change->line, DW_E_NOMEM, NULL);
		changes->stop = true;
		return;
	}
	*item = *change;
	request.own.verb = dw_str(changes->verb->name);
	request.own.room = dw_str(item->room);
	request.own.user = dw_str(item->user);
	request.own.dry = changes->dry;
	err = dw_client_ask(changes->client, &request, take_answer, item);
	if (err != DW_OK)
		take_answer(item, err, NULL);
}

static int
connect_to_hub(struct changes *changes)
{
	struct dw_fault fault = { 0 };
	int err;

	(void)dw_interrupt_fd();
	err = dw_command_connect(&changes->client, OWNER_NAME, WINDOW, false, &fault);
	changes->tells = !dw_common.quiet && (dw_common.verbose || isatty(STDOUT_FILENO));
	if (err != DW_OK)
		dw_fault_print(stderr, OWNER_NAME, err, &fault, NULL);
	return err;
}

/* Waits for what is under way, and tells what is left to tell. */
static int
finish(struct changes *changes)
{
	while (changes->client != NULL && dw_client_poll(changes->client, DW_COMMAND_WAIT_MS) > 0)
		(void)dw_interrupted();
	if (fflush(stdout) != 0 || ferror(stdout)) {
		dw_fault_print(stderr, OWNER_NAME, DW_E_IO, NULL, NULL);
		changes->err = DW_E_IO;
	}
	dw_client_destroy(&changes->client);
	return changes->err;
}

int
change_users(const struct verb *verb, bool dry, const char *room, char **users, size_t count)
{
	struct changes changes = { .verb = verb, .dry = dry };
	struct item item = { .changes = &changes };

	changes.err = connect_to_hub(&changes);
	(void)dw_str_copy(dw_str(room), item.room, sizeof(item.room));
	for (size_t i = 0; i < count && changes.err == DW_OK && !changes.stop; i++) {
		(void)dw_str_copy(dw_str(users[i]), item.user, sizeof(item.user));
		ask(&changes, &item);
	}
	return finish(&changes);
}

/* ---- import ---- */

static int
read_name(const struct dw_json *json, const char *name, char *out, size_t size, struct dw_fault *fault)
{
	const struct dw_json_member *member = dw_json_get(json, name);

	if (member == NULL)
		return dw_fault_set(
			fault, DW_E_FIELD, name, "a string, or an integer that is not negative", "field '%s' is missing", name);
	return dw_id_from_json(member, out, size, fault);
}

static int
parse_line(struct dw_str line, struct item *item, struct dw_fault *fault)
{
	static const char expected[] = "{\"diagnosis_id\":…,\"user_id\":…}";
	struct dw_json *json = NULL;
	int err = dw_json_parse(&json, line.p, line.n, fault);

	if (err != DW_OK)
		return err;
	if (dw_json_type(json) != DW_JSON_OBJECT)
		err = dw_fault_set(fault, DW_E_FIELD, NULL, expected, "the line is not an object");
	if (err == DW_OK)
		err = read_name(json, "diagnosis_id", item->room, sizeof(item->room), fault);
	if (err == DW_OK)
		err = read_name(json, "user_id", item->user, sizeof(item->user), fault);
	if (err == DW_OK)
		err = dw_room_check(dw_str(item->room), "", fault);
	if (err == DW_OK)
		err = dw_user_check(dw_str(item->user), "", fault);
	if (err == DW_OK && json->count > 2)
		err = dw_fault_set(fault, DW_E_FIELD, NULL, expected, "the line has other fields, too");
	dw_json_destroy(&json);
	return err;
}

/* Asks for the lines that are there, as far as the window goes. Returns whether input is needed to go on. */
static bool
take_lines(struct changes *changes, uint64_t *number)
{
	while (!changes->stop && dw_client_has_room(changes->client)) {
		struct item item = { .changes = changes };
		struct dw_fault fault = { 0 };
		struct dw_str line;
		int err = dw_lines_next(changes->lines, &line, number);

		if (err == DW_E_AGAIN)
			return true;
		if (err == DW_E_TOO_BIG)
			(void)dw_fault_set(&fault, err, NULL, "at most 4096 bytes", "the line is too long");
		else if (dw_line_is_blank(line))
			continue;
		else
			err = parse_line(line, &item, &fault);
		item.line = *number;
		if (err == DW_OK)
			ask(changes, &item);
		else
			tell_fault(changes, *number, err, &fault);
	}
	return false;
}

static void
run_import(struct changes *changes)
{
	uint64_t number = 0;

	while (!changes->stop && !dw_interrupted()) {
		const bool needs_input = take_lines(changes, &number);
		const int left = dw_client_poll(changes->client, 0);
		struct dw_fault fault = { 0 };

		if (changes->stop || left < 0 || (needs_input && dw_lines_ended(changes->lines)))
			break;
		if (!needs_input && dw_client_has_room(changes->client))
			continue;
		(void)fflush(stdout);
		if (dw_command_wait(changes->lines, needs_input, changes->client, left > 0, &fault) != DW_OK)
			tell_fault(changes, 0, DW_E_NOINPUT, &fault);
	}
	if (changes->stop && !dw_lines_ended(changes->lines))
		fprintf(
			stderr, "%s: %s: stopped after line %llu\n", OWNER_NAME, changes->lines->name, (unsigned long long)number);
}

int
import_users(const struct verb *verb, bool dry, const char *path)
{
	struct changes changes = { .verb = verb, .dry = dry };
	struct dw_fault fault = { 0 };
	int err = dw_lines_open(&changes.lines, path, LINE_MAX_BYTES, &fault);

	if (err != DW_OK) {
		dw_fault_print(stderr, OWNER_NAME, err, &fault, NULL);
		return err;
	}
	changes.err = connect_to_hub(&changes);
	if (changes.err == DW_OK)
		run_import(&changes);
	err = finish(&changes);
	dw_lines_destroy(&changes.lines);
	return err;
}
