/* The hub's options: one table, and the checks that the table cannot say. Failure modes: usage (64), an
 * engine that this version does not have (69), an address that may not be listened on (78).
 */
#include "options.h"

#include <string.h>

#include "cli/logging.h"

#define AGE_MOST_MS (3650 * 24LL * 3600 * 1000)

static struct options o;
static const char *engine = "lmdb";

static const struct dw_opt table[] = {
	{ DW_OPT_HEADING, .help = "Where it listens and keeps things:" },
	{ DW_OPT_LIST, 0, "bind", "URI[,role=ROLE][,group=GROUP][,mode=MODE]",
		"listen here (ipc:///path, tcp://127.0.0.1:port), for edge, sender, stat, admin or all; may be repeated",
		"DIAGWS_BIND", "ipc:///run/diagws/hub.sock", NULL, &o.bind, 0, 0 },
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
		"DIAGWS_HUB_OWNERSHIP", "registry", "registry|claims|either", &o.ownership, 0, 0 },
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
	if (o.bind.count > DW_ROUTER_BINDS_MAX)
		return dw_opt_misuse(&command, "option '--bind': at most %d addresses", DW_ROUTER_BINDS_MAX);
	for (o.bind_count = 0; o.bind_count < o.bind.count; o.bind_count++) {
		struct dw_fault fault = { 0 };
		int err = bind_read(o.bind.item[o.bind_count], &o.binds[o.bind_count], &fault);

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

enum dw_ownership
options_ownership(const struct options *options)
{
	if (strcmp(options->ownership, "claims") == 0)
		return DW_OWNERSHIP_CLAIMS;
	return strcmp(options->ownership, "either") == 0 ? DW_OWNERSHIP_EITHER : DW_OWNERSHIP_REGISTRY;
}
