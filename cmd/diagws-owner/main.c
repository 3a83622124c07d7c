/* diagws-owner: who may watch which diagnosis. Grants, revokes and denies are durable when the command ends, and
 * who is shut out by one loses open connections within a second.
 *
 * A list of users and a file of lines are the same work: each change is asked as it comes, up to a window of them
 * unanswered, and told when it is durable. Names out of their grammar are told before anything is asked; a line of an
 * import that is wrong is told by its number and passed.
 *
 * Failure modes and exit status: diagws(7). A hub that does not answer ends the import, with the line from which to go
 * on; changes are idempotent, so running it again from the start does no harm.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/lines.h"
#include "cli/command.h"
#include "json/json.h"
#include "message/msg.h"

enum { LINE_MAX_BYTES = 4096, WINDOW = 256 };

static const char *list_user; /* NULL: everyone's */
static bool dry;

static const struct dw_opt own_options[] = {
	{ DW_OPT_FLAG, 'n', "dry-run", NULL, "say what would change, change nothing", .target = &dry },
	{ DW_OPT_TEXT, 0, "user", "USER", "list: only what this user may watch or may not", .target = &list_user },
	{ 0 },
};

static const struct dw_command command = {
	.name = "diagws-owner",
	.summary = "say who may watch which diagnosis",
	.usage = "[-n] grant|revoke|deny DIAGNOSIS USER…\n"
			 "[--user USER] list [DIAGNOSIS]\n"
			 "[-n] import [FILE|-]",
	.words = "grant revoke deny list import",
	.examples = "diagws-owner grant 123 alice bob\n"
				"diagws-owner list 123\n"
				"echo '{\"diagnosis_id\":123,\"user_id\":\"alice\"}' | diagws-owner import",
	.groups = (const struct dw_opt *const[]) { own_options, dw_opt_table, dw_opt_hub, dw_opt_common, NULL },
};

/* A grant, revoke or deny of one user; words for its three outcomes. */
struct verb {
	const char *name;    /* "grant" */
	const char *done;    /* "granted" */
	const char *already; /* nothing changed */
};

static const struct verb verbs[] = {
	{ "grant", "granted", "already granted" },
	{ "revoke", "revoked", "not granted before" },
	{ "deny", "denied", "already denied" },
};

/* A change under way. */
struct item {
	uint64_t line; /* 0: of a command line */
	char room[DW_ROOM_MAX + 1];
	char user[DW_USER_MAX + 1];
};

static const struct verb *verb = &verbs[0]; /* an import grants */
static struct {
	struct dw_client *client;
	struct dw_lines *lines; /* NULL: a command line */
	bool tells;             /* what changed is printed */
	bool stop;
	bool told_fatal;
	int err; /* what the exit status is for: the hub's failures before wrong lines */
} changes;

static void
note_error(int err)
{
	if (changes.err == DW_OK || (dw_err_exit(changes.err) == 65 && dw_err_exit(err) != 65))
		changes.err = err;
}

static void
tell_fault(uint64_t line, int err, const struct dw_fault *fault)
{
	note_error(err);
	dw_command_tell(command.name, line > 0 ? changes.lines->name : NULL, line, err, fault, NULL);
}

static void
tell_change(const struct item *item, bool changed)
{
	if (dry && changed)
		(void)printf("would %s %s %s\n", verb->name, item->room, item->user);
	else if (!dry && changes.tells)
		(void)printf("%s %s %s\n", changed ? verb->done : verb->already, item->room, item->user);
}

static void
take_answer(void *user, int err, const struct dw_wire *answer)
{
	struct item *item = user;
	struct dw_fault fault = { 0 };

	if (err == DW_OK && answer != NULL && answer->kind == DW_OWNED) {
		tell_change(item, answer->owned.changed);
	} else if (answer != NULL) {
		err = err == DW_OK ? DW_E_PROTOCOL : err;
		(void)dw_fault_set(
			&fault, err, NULL, NULL, "cannot %s %s %s: %s", verb->name, item->room, item->user, dw_err_text(err));
		tell_fault(item->line, err, &fault);
	} else {
		dw_client_explain(changes.client, err, &fault);
		note_error(err);
		if (!changes.told_fatal)
			dw_fault_print(stderr, command.name, err, &fault, NULL);
		changes.told_fatal = true;
	}
	changes.stop = changes.stop || changes.told_fatal || dw_err_exit(err) == 75;
	free(item);
}

static void
ask(const struct item *change)
{
	struct item *item = malloc(sizeof(*item));
	const struct dw_wire request = { .kind = DW_OWN,
		.own = { .verb = dw_str(verb->name), .room = dw_str(change->room), .user = dw_str(change->user), .dry = dry } };
	int err;

	if (item == NULL) {
		tell_fault(change->line, DW_E_NOMEM, NULL);
		changes.stop = true;
		return;
	}
	*item = *change;
	err = dw_client_ask(changes.client, &request, take_answer, item);
	if (err != DW_OK)
		take_answer(item, err, NULL);
}

static int
connect_to_hub(void)
{
	struct dw_fault fault = { 0 };
	int err;

	(void)dw_interrupt_fd();
	err = dw_command_connect(&changes.client, command.name, WINDOW, false, &fault);
	changes.tells = !dw_common.quiet && (dw_common.verbose || isatty(STDOUT_FILENO));
	if (err != DW_OK)
		dw_fault_print(stderr, command.name, err, &fault, NULL);
	return err;
}

/* Waits for what is under way, and tells what is left to tell. */
static int
finish(void)
{
	while (changes.client != NULL && dw_client_poll(changes.client, DW_COMMAND_WAIT_MS) > 0)
		(void)dw_interrupted();
	if (fflush(stdout) != 0 || ferror(stdout)) {
		dw_fault_print(stderr, command.name, DW_E_IO, NULL, NULL);
		changes.err = DW_E_IO;
	}
	dw_client_destroy(&changes.client);
	return changes.err;
}

static int
change_users(const char *room, char **users, size_t count)
{
	struct item item = { 0 };

	changes.err = connect_to_hub();
	(void)dw_str_copy(dw_str(room), item.room, sizeof(item.room));
	for (size_t i = 0; i < count && changes.err == DW_OK && !changes.stop; i++) {
		(void)dw_str_copy(dw_str(users[i]), item.user, sizeof(item.user));
		ask(&item);
	}
	return finish();
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
take_lines(uint64_t *number)
{
	while (!changes.stop && dw_client_has_room(changes.client)) {
		struct item item = { 0 };
		struct dw_fault fault = { 0 };
		struct dw_str line;
		int err = dw_lines_next(changes.lines, &line, number);

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
			ask(&item);
		else
			tell_fault(*number, err, &fault);
	}
	return false;
}

static void
run_import(void)
{
	uint64_t number = 0;

	while (!changes.stop && !dw_interrupted()) {
		const bool needs_input = take_lines(&number);
		const int left = dw_client_poll(changes.client, 0);
		struct dw_fault fault = { 0 };

		if (changes.stop || left < 0 || (needs_input && dw_lines_ended(changes.lines)))
			break;
		if (!needs_input && dw_client_has_room(changes.client))
			continue;
		(void)fflush(stdout);
		if (dw_command_wait(changes.lines, needs_input, changes.client, left > 0, &fault) != DW_OK)
			tell_fault(0, DW_E_NOINPUT, &fault);
	}
	if (changes.stop && !dw_lines_ended(changes.lines))
		fprintf(
			stderr, "%s: %s: stopped after line %llu\n", command.name, changes.lines->name, (unsigned long long)number);
}

static int
import_users(const char *path)
{
	struct dw_fault fault = { 0 };
	int err = dw_lines_open(&changes.lines, path, LINE_MAX_BYTES, &fault);

	if (err != DW_OK) {
		dw_fault_print(stderr, command.name, err, &fault, NULL);
		return err;
	}
	changes.err = connect_to_hub();
	if (changes.err == DW_OK)
		run_import();
	err = finish();
	dw_lines_destroy(&changes.lines);
	return err;
}

/* ---- verbs ---- */

/* Either may be NULL. */
static int
check_names(const char *room, const char *user)
{
	struct dw_fault fault = { 0 };
	int err = room != NULL ? dw_room_check(dw_str(room), "", &fault) : DW_OK;

	if (err == DW_OK && user != NULL)
		err = dw_user_check(dw_str(user), "", &fault);
	if (err != DW_OK)
		dw_fault_print(stderr, command.name, err, &fault, NULL);
	return err;
}

static int
list_owners(const char *room)
{
	const enum dw_rows_format format = dw_rows_format(dw_common.format, dw_common.json, isatty(STDOUT_FILENO) != 0);
	struct dw_wire request = { .kind = DW_OWN,
		.own = { .verb = DW_STR("list"), .room = dw_str(room), .user = dw_str(list_user) } };
	struct dw_rows rows = { 0 };
	struct dw_fault fault = { 0 };
	int err = dw_command_ask(command.name, &request, &rows, &fault);

	if (err == DW_OK)
		err = dw_rows_print(&rows, format, false, 2);
	if (err != DW_OK)
		dw_fault_print(stderr, command.name, err, &fault, NULL);
	dw_rows_clear(&rows);
	return err;
}

static int
run(int count, char **operands)
{
	const char *name = count > 0 ? operands[0] : NULL;
	const bool is_list = name != NULL && strcmp(name, "list") == 0;
	const bool is_import = name != NULL && strcmp(name, "import") == 0;
	int err = DW_OK;

	if (name == NULL)
		return dw_opt_misuse(&command, "one of these is missing: %s", command.words);
	if (list_user != NULL && !is_list)
		return dw_opt_misuse(&command, "option '--user' is for list");
	if (dry && is_list)
		return dw_opt_misuse(&command, "option '--dry-run' is not for list");
	if ((is_list || is_import) && count > 2)
		return dw_opt_misuse(&command, "'%s' is one operand too many", operands[2]);
	if (is_list) {
		err = check_names(operands[1], list_user);
		return err == DW_OK ? list_owners(operands[1]) : err;
	}
	if (is_import && (count == 1 || strcmp(operands[1], "-") == 0) && isatty(STDIN_FILENO))
		return dw_opt_misuse(&command, "the lines are to come from standard input, which is a terminal");
	if (is_import)
		return import_users(operands[1]);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(name, verbs[i].name) != 0)
			continue;
		if (count < 3)
			return dw_opt_misuse(&command, "'%s' needs a diagnosis and at least one user", name);
		verb = &verbs[i];
		for (int user = 2; user < count && err == DW_OK; user++)
			err = check_names(operands[1], operands[user]);
		return err == DW_OK ? change_users(operands[1], operands + 2, (size_t)count - 2) : err;
	}
	return dw_opt_misuse(&command, "'%s' is not one of: %s", name, command.words);
}

int
main(int argc, char **argv)
{
	const int first = dw_command_begin(&command, argc, argv);
	const int err = run(argc - first, argv + first);

	return dw_interrupted() ? DW_EXIT_INTERRUPTED : dw_err_exit(err);
}
