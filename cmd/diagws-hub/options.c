/* The hub's options: one table, and the checks that the table cannot say. Failure modes: usage (64), an
 * engine that this version does not have (69), an address that may not be listened on (78).
 */
#include "options.h"

#include <grp.h>
#include <stdlib.h>
#include <string.h>

#include "cli/logging.h"
#include "cli/opt.h"
#include "wire/endpoint.h"

#define AGE_MOST_MS (3650 * 24LL * 3600 * 1000)

static struct options o;
static struct dw_opt_list bind_list;
static const char *engine = "lmdb", *ownership;

static const struct dw_opt table[] = {
	{ DW_OPT_HEADING, .help = "Where it listens and keeps things:" },
	{ DW_OPT_LIST, 0, "bind", "URI[,role=ROLE][,group=GROUP][,mode=MODE]",
		"listen here (ipc:///path, tcp://127.0.0.1:port), for edge, sender, stat, admin or all; may be repeated",
		"DIAGWS_BIND", "ipc:///run/diagws/hub.sock", NULL, &bind_list, 0, 0 },
	{ DW_OPT_TEXT, 0, "state-dir", "DIR", "keep the store in this directory", "DIAGWS_HUB_STATE_DIR", "/var/lib/diagws",
		NULL, &o.state_dir, 0, 0 },
	{ DW_OPT_TEXT, 0, "engine", "ENGINE", "what keeps the store: lmdb", "DIAGWS_HUB_ENGINE", "lmdb", NULL, &engine, 0,
		0 },
	{ DW_OPT_SIZE, 0, "store-limit", "SIZE", "refuse messages when the store is this large", "DIAGWS_HUB_STORE_LIMIT",
		"16G", NULL, &o.store_limit, 1024 * 1024, INT64_MAX / 2 },
	{ DW_OPT_HEADING, .help = "What it keeps and for how long:" },
	{ DW_OPT_NUMBER, 0, "queue-limit", "N", "messages kept per diagnosis", "DIAGWS_HUB_QUEUE_LIMIT", "100", NULL,
		&o.queue_limit, 1, 10000 },
	{ DW_OPT_DURATION, 0, "queue-ttl", "DUR", "and for how long", "DIAGWS_HUB_QUEUE_TTL", "7d", NULL, &o.queue_ttl_ms,
		1000, AGE_MOST_MS },
	{ DW_OPT_DURATION, 0, "id-window", "DUR", "how long the id of a message is remembered", "DIAGWS_HUB_ID_WINDOW",
		"24h", NULL, &o.id_window_ms, 1000, AGE_MOST_MS },
	{ DW_OPT_DURATION, 0, "cursor-ttl", "DUR", "forget a device that was away for so long", "DIAGWS_HUB_CURSOR_TTL",
		"30d", NULL, &o.cursor_ttl_ms, 1000, AGE_MOST_MS },
	{ DW_OPT_SIZE, 0, "memory-limit", "SIZE", "memory for diagnoses that nobody watches", "DIAGWS_HUB_MEMORY_LIMIT",
		"256M", NULL, &o.memory_limit, 0, INT64_MAX / 2 },
	{ DW_OPT_NUMBER, 0, "max-sessions", "N", "clients at a time, each counted in each diagnosis that it watches",
		"DIAGWS_HUB_MAX_SESSIONS", "200000", NULL, &o.max_sessions, 2, 100 * 1000 * 1000 },
	{ DW_OPT_HEADING, .help = "Who may watch:" },
	{ DW_OPT_CHOICE, 0, "ownership", "HOW", "who decides: the registry, the token's claims, or either",
		"DIAGWS_HUB_OWNERSHIP", "registry", "registry|claims|either", &ownership, 0, 0 },
	{ DW_OPT_HEADING, .help = "Else:" },
	{ DW_OPT_FLAG, 't', "test", NULL, "check the configuration and exit", .target = &o.check },
	{ 0 },
};

static const struct dw_opt *const groups[] = { table, dw_opt_daemon, dw_opt_common, NULL };

static const struct dw_command command = {
	.name = "diagws-hub",
	.summary = "keep the messages of each diagnosis and pass them on to edges",
	.usage = "[--bind URI]... [--state-dir DIR] [OPTION]...",
	.examples =
		"diagws-hub\n"
		"diagws-hub --bind ipc:///tmp/hub.sock --state-dir /tmp/hub --ownership either\n"
		"diagws-hub --bind ipc:///run/diagws/hub.sock --bind ipc:///run/diagws-send/hub.sock,role=sender,group=cron",
	.groups = groups,
	.takes_initials = true,
};

/* ---- --bind: URI[,role=ROLE[+ROLE]...][,group=GROUP][,mode=MODE]. A role belongs to a socket, and the socket to a
 * group: this is the whole of who may do what at the hub. */

enum { MODE_MAX = 0777 };

static const struct {
	const char *name;
	unsigned roles;
} names[] = { { "edge", ROLE_EDGE }, { "sender", ROLE_SENDER }, { "stat", ROLE_STAT }, { "admin", ROLE_ADMIN },
	{ "all", ROLE_ALL } };

static int
refuse(struct dw_fault *fault, const char *expected, const char *what, const char *word)
{
	return dw_fault_set(fault, DW_E_CONFIG, "--bind", expected, "option '--bind': '%s' is no %s", word, what);
}

static int
read_roles(char *text, unsigned *roles, struct dw_fault *fault)
{
	const char *word;

	*roles = 0;
	while ((word = strsep(&text, "+")) != NULL) {
		size_t i = 0;

		while (i < sizeof(names) / sizeof(names[0]) && strcmp(word, names[i].name) != 0)
			i++;
		if (i == sizeof(names) / sizeof(names[0]))
			return refuse(fault, "edge, sender, stat, admin or all; several with + between them", "role", word);
		*roles |= names[i].roles;
	}
	return DW_OK;
}

static int
read_mode(const char *text, unsigned *mode, struct dw_fault *fault)
{
	const size_t digits = strspn(text, "01234567");

	if (digits == 0 || digits > 4 || text[digits] != '\0' || strtoul(text, NULL, 8) > MODE_MAX)
		return refuse(fault, "octal digits, like 0660", "mode", text);
	*mode = (unsigned)strtoul(text, NULL, 8);
	return DW_OK;
}

static int
read_setting(char *word, struct dw_bind *bind, struct dw_fault *fault)
{
	if (strncmp(word, "role=", 5) == 0)
		return read_roles(word + 5, &bind->roles, fault);
	if (strncmp(word, "mode=", 5) == 0)
		return read_mode(word + 5, &bind->mode, fault);
	if (strncmp(word, "group=", 6) != 0)
		return refuse(fault, "role=ROLE, group=GROUP or mode=MODE behind the address", "setting", word);
	bind->group = word + 6;
	return getgrnam(bind->group) != NULL ? DW_OK : refuse(fault, "a group of this system", "group", bind->group);
}

static int
check_file(const struct dw_bind *bind, bool with_file, struct dw_fault *fault)
{
	struct dw_endpoint endpoint;

	if (with_file && dw_endpoint_path(bind->uri) == NULL)
		return dw_fault_set(fault, DW_E_CONFIG, "--bind", "ipc:///path with them",
			"option '--bind': '%s' is no file: it has neither group nor mode", bind->uri);
	return dw_endpoint_read(bind->uri, &endpoint, fault);
}

/* Its texts are kept for the life of the process. DW_E_CONFIG, DW_E_NOMEM. */
static int
read_bind(const char *text, struct dw_bind *bind, struct dw_fault *fault)
{
	char *rest = strdup(text), *word;
	bool with_file = false;
	int err = DW_OK;

	if (rest == NULL)
		return DW_E_NOMEM;
	*bind = (struct dw_bind) { .uri = strsep(&rest, ","), .mode = 0660, .roles = ROLE_ALL };
	while (err == DW_OK && (word = strsep(&rest, ",")) != NULL) {
		with_file = with_file || word[0] != 'r';
		err = read_setting(word, bind, fault);
	}
	return err == DW_OK ? check_file(bind, with_file, fault) : err;
}

/* ---- all of them */

static int
complain(int err, const struct dw_fault *fault)
{
	dw_fault_print(stderr, command.name, err, fault, NULL);
	return err;
}

static int
check_engine(void)
{
	struct dw_fault fault = { 0 };

	if (strcmp(engine, "lmdb") == 0)
		return DW_OK;
	if (strncmp(engine, "nats://", strlen("nats://")) == 0)
		return complain(dw_fault_set(&fault, DW_E_UNSUPPORTED, "--engine", "lmdb",
							"the engine '%s' is not supported by this version", engine),
			&fault);
	return dw_opt_misuse(&command, "option '--engine': '%s' is no engine; lmdb is", engine);
}

static int
check_binds(void)
{
	if (bind_list.count > DW_ROUTER_BINDS_MAX)
		return dw_opt_misuse(&command, "option '--bind': at most %d addresses", DW_ROUTER_BINDS_MAX);
	for (o.bind_count = 0; o.bind_count < bind_list.count; o.bind_count++) {
		struct dw_fault fault = { 0 };
		int err = read_bind(bind_list.item[o.bind_count], &o.binds[o.bind_count], &fault);

		if (err != DW_OK)
			return complain(err, &fault);
	}
	return DW_OK;
}

int
options_read(struct options *options, int argc, char **argv)
{
	int first = 0, err;

	err = dw_opt_parse(&command, argc, argv, &first);
	if (err != DW_OK)
		return err;
	if (first < argc)
		return dw_opt_misuse(&command, "unexpected operand '%s'", argv[first]);
	dw_log_begin(command.name);
	err = check_engine();
	if (err == DW_OK)
		err = check_binds();
	if (err != DW_OK)
		return err;
	*options = o;
	if (strcmp(ownership, "registry") != 0)
		options->ownership = strcmp(ownership, "claims") == 0 ? DW_OWNERSHIP_CLAIMS : DW_OWNERSHIP_EITHER;
	if (options->bind_count == 0) {
		dw_default_endpoint(true, options->default_bind);
		options->binds[options->bind_count++] = (struct dw_bind) { options->default_bind, NULL, 0660, ROLE_ALL };
	}
	if (options->state_dir == NULL) {
		dw_default_state_dir(options->default_dir);
		options->state_dir = options->default_dir;
	}
	return DW_OK;
}
