/* diagws up: a hub, edges, a key, a user and a token, ready in a moment, gone at the first signal.
 *
 * Happy path: folders → key → hub → edges on free ports → grant → token → ready → what to paste → wait for
 * SIGINT or SIGTERM → end all. Needs no root and no configuration. Failure modes: a child that ends by itself
 * ends all (69); one that is stuck is replaced (children.c). Invariant: the token passes through pipes only.
 */
#include "up.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "cli/opt.h"

/* The token stands behind '#': no server is sent it, and no log has it. */
#define PAGE_URL "http://127.0.0.1:%d/#diagnosis=123&token=%s"

enum {
	EDGES_MAX = CHILDREN_MAX - 1,
	WATCHDOG_MIN_MS = 1000,
	READY_MS = 10000,
	TOKEN_SIZE = 4200,
	SOCKET_PATH_MAX = 100
};

static struct {
	int64_t port, edges, watchdog_ms;
	const char *state_dir, *user, *www;
	bool json;
} wish = { .port = 8000, .edges = 1, .watchdog_ms = 10000, .user = "demo" };

static const struct dw_opt options[] = {
	{ DW_OPT_NUMBER, 0, "port", "PORT", "the first edge's port, or the next free one", .env = "DIAGWS_UP_PORT",
		.initial = "8000", .target = &wish.port, .min = 1, .max = 65000 },
	{ DW_OPT_NUMBER, 0, "edges", "N", "so many edges, on one port and each on one of its own", .initial = "1",
		.target = &wish.edges, .min = 1, .max = EDGES_MAX },
	{ DW_OPT_TEXT, 0, "state-dir", "DIR", "keep everything here (else it is temporary)", .target = &wish.state_dir },
	{ DW_OPT_TEXT, 0, "user", "USER", "who may watch diagnosis 123", .initial = "demo", .target = &wish.user },
	{ DW_OPT_TEXT, 0, "www", "DIR", "the web page that the edges serve (else the dashboard, where it is there)",
		.target = &wish.www },
	{ DW_OPT_DURATION, 0, "watchdog", "DUR", "replace a process that is stuck for so long; 0: never", .initial = "10s",
		.target = &wish.watchdog_ms, .max = 3600000 },
	{ DW_OPT_FLAG, 0, "json", NULL, "print one JSON object", .target = &wish.json },
	{ 0 },
};
static const struct dw_command command = {
	.name = "diagws-up",
	.summary = "run a hub and edges for development, with a key, a user and a token",
	.usage = "[--port PORT] [--edges N] [--state-dir DIR] [--user USER] [--www DIR] [--watchdog DUR] [--json]",
	.examples = "diagws up\ndiagws up --edges 2 --json",
	.groups = (const struct dw_opt *const[]) { options, dw_opt_common, NULL },
};

static struct {
	char dir[DW_PATH_SIZE - 64]; /* state, keys and, if its path is short enough, the socket */
	char run[64];                /* else the socket is here; "" when not needed */
	char endpoint[DW_PATH_SIZE];
	char key[DW_PATH_SIZE];
	char token[TOKEN_SIZE];
	char www[DW_PATH_SIZE]; /* "": no page */
	int ports[EDGES_MAX];
} up;

static sigset_t asked; /* to end: SIGINT and SIGTERM */

static int
fail(int err, const char *format, const char *what)
{
	struct dw_fault fault = { 0 };

	(void)dw_fault_set(&fault, err, NULL, NULL, "%s '%s': %s", format, what, strerror(errno));
	dw_fault_print(stderr, command.name, err, &fault, NULL);
	return err;
}

static int
make_folders(void)
{
	struct dw_fault fault = { 0 };
	int err;

	if (wish.state_dir == NULL) {
		(void)snprintf(up.dir, sizeof(up.dir), "/tmp/diagws-up-XXXXXX");
		if (mkdtemp(up.dir) == NULL)
			return fail(DW_E_CREATE, "cannot make", up.dir);
	} else {
		err = dw_make_dirs(wish.state_dir, 0700, &fault);
		if (err != DW_OK) {
			dw_fault_print(stderr, command.name, err, &fault, NULL);
			return err;
		}
		if (realpath(wish.state_dir, up.key) == NULL)
			return fail(DW_E_CREATE, "cannot use", wish.state_dir);
		if (!dw_str_copy(dw_str(up.key), up.dir, sizeof(up.dir)))
			return fail(DW_E_CREATE, "too long a path", wish.state_dir);
	}
	if (strlen(up.dir) > SOCKET_PATH_MAX - sizeof("/hub.sock.lock")) {
		(void)snprintf(up.run, sizeof(up.run), "/tmp/diagws-up-XXXXXX");
		if (mkdtemp(up.run) == NULL)
			return fail(DW_E_CREATE, "cannot make", up.run);
	}
	(void)snprintf(up.endpoint, sizeof(up.endpoint), "ipc://%s/hub.sock", up.run[0] != '\0' ? up.run : up.dir);
	return DW_OK;
}

/* One that is there is kept, so that tokens made before go on. */
static int
make_key(void)
{
	char secret[2 * DW_HEX_ID_SIZE];
	int fd, n;

	(void)snprintf(up.key, sizeof(up.key), "%s/keys", up.dir);
	if (mkdir(up.key, 0700) != 0 && errno != EEXIST)
		return fail(DW_E_CREATE, "cannot make", up.key);
	(void)snprintf(up.key, sizeof(up.key), "%s/keys/dev.hs256", up.dir);
	fd = open(up.key, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno == EEXIST ? DW_OK : fail(DW_E_CREATE, "cannot make", up.key);
	dw_random_id(secret);
	dw_random_id(secret + DW_HEX_ID_SIZE - 1);
	n = (int)write(fd, secret, strlen(secret));
	(void)close(fd);
	return n == (int)strlen(secret) ? DW_OK : fail(DW_E_IO, "cannot write", up.key);
}

static int
find_page(void)
{
	char folder[FOLDER_SIZE], path[DW_PATH_SIZE];

	own_folder(folder);
	(void)snprintf(path, sizeof(path), "%s/../share/diagws/www", folder);
	if (wish.www == NULL && realpath(path, up.www) == NULL)
		up.www[0] = '\0';
	else if (wish.www != NULL && !dw_str_copy(dw_str(wish.www), up.www, sizeof(up.www)))
		return fail(DW_E_CREATE, "too long a path", wish.www);
	return DW_OK;
}

static int
start_hub(void)
{
	char state[DW_PATH_SIZE];
	const char *arguments[] = { "diagws-hub", "-q", "--bind", up.endpoint, "--state-dir", state, NULL };

	(void)snprintf(state, sizeof(state), "%s/state", up.dir);
	return children_start("hub", arguments);
}

/* Each on a port of its own, and all on the first one, where the kernel shares out who comes. */
static int
start_edges(void)
{
	int port = (int)wish.port;
	char keys[DW_PATH_SIZE], listen[32], shared[32];
	const char *arguments[] = { "diagws-edge", "-q", "--listen", listen, "--hub", up.endpoint, "--keys", keys,
		"--origin", "*", NULL, NULL, NULL, NULL, NULL };
	size_t n = 10;
	int err = DW_OK;

	if (up.www[0] != '\0') {
		arguments[n++] = "--www";
		arguments[n++] = up.www;
	}
	(void)snprintf(keys, sizeof(keys), "%s/keys", up.dir);
	for (int64_t i = 0; err == DW_OK && i < wish.edges; i++) {
		port = claim_port(port);
		if (port == 0)
			return fail(DW_E_IN_USE, "no free port from", "--port on");
		(void)snprintf(listen, sizeof(listen), "127.0.0.1:%d", port);
		if (i > 0) {
			(void)snprintf(shared, sizeof(shared), "127.0.0.1:%d", up.ports[0]);
			arguments[n] = "--listen";
			arguments[n + 1] = shared;
		}
		up.ports[i] = port++;
		err = children_start("edge", arguments);
	}
	return err;
}

static int
wait_ready(void)
{
	const struct timespec pause = { .tv_nsec = 20 * 1000000 };
	uint64_t until = dw_mono_ms() + READY_MS;

	for (int64_t i = 0; i < wish.edges;) {
		const char *dead = children_find_dead();

		if (dead != NULL || dw_mono_ms() >= until) {
			fprintf(stderr, "diagws-up: diagws-%s %s\n", dead != NULL ? dead : "edge",
				dead != NULL ? "ended" : "is not ready");
			return DW_E_UNSUPPORTED;
		}
		if (is_ready(up.ports[i]))
			i++;
		else if (sigtimedwait(&asked, NULL, &pause) > 0)
			return DW_E_CLOSING;
	}
	return DW_OK;
}

static int
admit_user(void)
{
	const char *grant[] = { "diagws-owner", "-q", "-e", up.endpoint, "grant", "--", "123", wish.user, NULL };
	const char *mint[] = { "diagws-token", "mint", "--key-file", up.key, "--sub", wish.user, "--ttl", "24h", "--scope",
		"publish stat", NULL };
	int err = children_run("owner", grant, NULL, 0);

	if (err == DW_OK)
		err = children_run("token", mint, up.token, sizeof(up.token));
	up.token[strcspn(up.token, "\n")] = '\0';
	return err;
}

static void
add_string(struct dw_buf *out, const char *name, const char *value)
{
	dw_buf_addf(out, ",\"%s\":", name);
	dw_buf_add_json_string(out, dw_str(value));
}

static void
print_json(void)
{
	struct dw_buf out = { 0 };

	dw_buf_addf(&out, "{\"url\":\"http://127.0.0.1:%d\",\"ws_url\":\"ws://127.0.0.1:%d/ws/123?token=%s\"", up.ports[0],
		up.ports[0], up.token);
	add_string(&out, "hub", up.endpoint);
	add_string(&out, "key_file", up.key);
	add_string(&out, "user", wish.user);
	add_string(&out, "token", up.token);
	add_string(&out, "state_dir", up.dir);
	if (up.www[0] != '\0')
		dw_buf_addf(&out, ",\"page_url\":\"" PAGE_URL "\"", up.ports[0], up.token);
	else
		dw_buf_adds(&out, ",\"page_url\":null");
	dw_buf_adds(&out, ",\"pids\":[");
	for (size_t i = 0; children_pid(i) > 0; i++)
		dw_buf_addf(&out, "%s%d", i > 0 ? "," : "", children_pid(i));
	dw_buf_adds(&out, "],\"urls\":[");
	for (int64_t i = 0; i < wish.edges; i++)
		dw_buf_addf(&out, "%s\"http://127.0.0.1:%d\"", i > 0 ? "," : "", up.ports[i]);
	dw_buf_adds(&out, "]}");
	if (dw_buf_ok(&out))
		printf("%s\n", out.data);
	dw_buf_clear(&out);
}

static void
print_text(void)
{
	printf("diagws is up: %s on http://127.0.0.1:%d\n", wish.edges > 1 ? "the edges are" : "the edge is", up.ports[0]);
	for (int64_t i = 1; i < wish.edges; i++)
		printf("           and one of them on http://127.0.0.1:%d\n", up.ports[i]);
	if (up.www[0] != '\0')
		printf("\npage:\n" PAGE_URL "\n", up.ports[0], up.token);
	printf("\ntoken of %s, who may watch diagnosis 123:\n%s\n", wish.user, up.token);
	printf("\nwatch:\nws://127.0.0.1:%d/ws/123?token=%s\n"
		   "\nsend:\necho "
		   "'{\"recommendation_id\":789,\"new_effectiveness\":0.85,\"confidence\":0.92,\"sample_size\":150}' |\n"
		   "    diagws-send -e %s effectiveness 123\n"
		   "\nkept in %s%s; end with ^C\n",
		up.ports[0], up.token, up.endpoint, up.dir, wish.state_dir == NULL ? " until then" : "");
}

static int
wait_for_end(const sigset_t *signals)
{
	while (children_watch(signals) == SIGCHLD) {
		const char *dead = children_find_dead();

		if (dead != NULL) {
			fprintf(stderr, "diagws-up: diagws-%s ended; ending the others\n", dead);
			return DW_E_UNSUPPORTED;
		}
	}
	return DW_OK;
}

static int
remove_one(const char *path, const struct stat *about, int kind, struct FTW *where)
{
	(void)about;
	(void)kind;
	(void)where;
	return remove(path);
}

int
up_main(int argc, char **argv)
{
	static int (*const steps[])(
		void) = { make_folders, make_key, find_page, start_hub, start_edges, wait_ready, admit_user };
	sigset_t signals, before;
	int first, err;

	err = dw_opt_parse(&command, argc, argv, &first);
	if (err != DW_OK)
		return err == DW_OPT_DONE ? 0 : dw_err_exit(err);
	if (first < argc)
		return dw_err_exit(dw_opt_misuse(&command, "unexpected operand '%s'", argv[first]));
	if (wish.watchdog_ms > 0 && wish.watchdog_ms < WATCHDOG_MIN_MS)
		return dw_err_exit(dw_opt_misuse(&command, "option '--watchdog': 1s is the least, and 0s turns it off"));
	(void)sigemptyset(&asked);
	(void)sigaddset(&asked, SIGINT);
	(void)sigaddset(&asked, SIGTERM);
	signals = asked;
	(void)sigaddset(&signals, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &signals, &before);
	err = children_init(&before, wish.watchdog_ms);
	if (err != DW_OK)
		return dw_err_exit(fail(err, "cannot watch over", "children"));
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && err == DW_OK; i++)
		err = steps[i]();
	if (err == DW_OK) {
		if (wish.json)
			print_json();
		else
			print_text();
		err = fflush(stdout) == 0 ? wait_for_end(&signals) : DW_E_IO;
	}
	children_end();
	if (wish.state_dir == NULL && up.dir[0] != '\0')
		(void)nftw(up.dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	if (up.run[0] != '\0')
		(void)nftw(up.run, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return err == DW_E_CLOSING ? 0 : dw_err_exit(err);
}
