/* The ZeroMQ sockets. Its own file because only it includes zmq.h and knows its traps: an ipc path
 * that a second bind steals without a word (so: flock), a ROUTER that drops what it cannot route
 * (so: MANDATORY and DONTWAIT), heartbeats that lose accepted messages (so: none here, the protocol
 * has its own), a DEALER that hoards for a hub that is not there (so: IMMEDIATE).
 *
 * A ROUTER's peers are known by the number that ZeroMQ gives each connection: five bytes, the first 0.
 *
 * Failure modes: a URI we refuse, a path in use, a directory or socket without permission. After
 * set-up nothing fails but "not now" and "no such peer".
 */
#include "diagws/bus.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

#include "diagws/paths.h"

/* HIGH_WATER is frames per peer, above every window of the protocol, so that it is only met by a
 * peer that does not read. */
enum { HIGH_WATER = 20000, ID_SIZE = 5, LINGER_MS = 500, RECONNECT_MS = 50, RECONNECT_MAX_MS = 200 };

static const char ipc_prefix[] = "ipc://";
static const char tcp_prefix[] = "tcp://";

/* What several sockets of one thread may share: ZeroMQ's own thread. */
struct context {
	void *zmq;
	size_t users;
};

/* An ipc address that was bound: the file that it is, and the lock beside it. */
struct bound {
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	dev_t device;
	ino_t inode;
	int lock;
};

struct dw_bus {
	struct context *context;
	void *socket;
	zmq_msg_t held; /* what the last recv lent out */
	bool router;
	char *uri; /* of a DEALER */
	int fd;
	struct bound *bounds; /* of a ROUTER: [bound_count] */
	size_t bound_count;
};

static bool
has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static int
check_path(const char *path, struct dw_fault *fault)
{
	const size_t most = sizeof(((struct bound *)NULL)->path) - 1;

	if (path[0] != '/')
		return dw_fault_set(
			fault, DW_E_CONFIG, "endpoint", "ipc:///absolute/path", "'ipc://%s' has no absolute path", path);
	if (strlen(path) > most)
		return dw_fault_set(fault, DW_E_CONFIG, "endpoint", "a shorter path",
			"the socket path has %zu bytes; the system allows %zu", strlen(path), most);
	return DW_OK;
}

static bool
is_loopback(const char *uri)
{
	return has_prefix(uri, "tcp://127.") || has_prefix(uri, "tcp://[::1]:") || has_prefix(uri, "tcp://localhost:");
}

static int
check_uri(const char *uri, struct dw_fault *fault)
{
	if (has_prefix(uri, ipc_prefix))
		return check_path(uri + strlen(ipc_prefix), fault);
	if (!has_prefix(uri, tcp_prefix))
		return dw_fault_set(
			fault, DW_E_CONFIG, "endpoint", "ipc:///path or tcp://127.0.0.1:port", "'%s' is no endpoint", uri);
	if (!is_loopback(uri))
		return dw_fault_set(fault, DW_E_CONFIG, "endpoint", "tcp://127.0.0.1:port, tcp://[::1]:port or ipc:///path",
			"'%s' is not on loopback: plain tcp is refused there", uri);
	return DW_OK;
}

static struct context *
join_context(const struct dw_bus *beside)
{
	struct context *context = beside != NULL ? beside->context : calloc(1, sizeof(*context));

	if (context != NULL && context->users++ == 0)
		context->zmq = zmq_ctx_new();
	return context;
}

static void
leave_context(struct context *context)
{
	if (--context->users > 0)
		return;
	if (context->zmq != NULL)
		(void)zmq_ctx_term(context->zmq);
	free(context);
}

static struct dw_bus *
new_bus(int type, const struct dw_bus *beside)
{
	const int zero = 0, one = 1, high = HIGH_WATER, linger = LINGER_MS, again = RECONNECT_MS, most = RECONNECT_MAX_MS;
	const int64_t frame_max = 2 * 1024 * 1024;
	struct dw_bus *bus = calloc(1, sizeof(*bus));

	if (bus == NULL)
		return NULL;
	bus->router = type == ZMQ_ROUTER;
	bus->context = join_context(beside);
	bus->socket = bus->context != NULL && bus->context->zmq != NULL ? zmq_socket(bus->context->zmq, type) : NULL;
	if (bus->socket == NULL) {
		dw_bus_destroy(&bus);
		return NULL;
	}
	(void)zmq_setsockopt(bus->socket, ZMQ_SNDHWM, &high, sizeof(high));
	(void)zmq_setsockopt(bus->socket, ZMQ_RCVHWM, &high, sizeof(high));
	(void)zmq_setsockopt(bus->socket, ZMQ_LINGER, &linger, sizeof(linger));
	(void)zmq_setsockopt(bus->socket, ZMQ_MAXMSGSIZE, &frame_max, sizeof(frame_max));
	(void)zmq_setsockopt(bus->socket, ZMQ_IPV6, &one, sizeof(one));
	(void)zmq_setsockopt(bus->socket, ZMQ_HEARTBEAT_IVL, &zero, sizeof(zero));
	if (bus->router) {
		(void)zmq_setsockopt(bus->socket, ZMQ_ROUTER_MANDATORY, &one, sizeof(one));
	} else {
		(void)zmq_setsockopt(bus->socket, ZMQ_IMMEDIATE, &one, sizeof(one));
		(void)zmq_setsockopt(bus->socket, ZMQ_RECONNECT_IVL, &again, sizeof(again));
		(void)zmq_setsockopt(bus->socket, ZMQ_RECONNECT_IVL_MAX, &most, sizeof(most));
	}
	(void)zmq_msg_init(&bus->held);
	return bus;
}

static int
read_fd(struct dw_bus *bus)
{
	size_t size = sizeof(bus->fd);

	return zmq_getsockopt(bus->socket, ZMQ_FD, &bus->fd, &size) == 0 ? DW_OK : DW_E_INTERNAL;
}

/* Makes the directory, then holds PATH.lock for the life of the process: the only proof that the
 * socket file is nobody else's. The lock file stays, for removing it would race with the next hub. */
static int
lock_path(struct dw_bus *bus, const char *path, struct dw_fault *fault)
{
	char text[DW_PATH_SIZE];
	char *slash;
	int err, fd;

	(void)snprintf(text, sizeof(text), "%s", path);
	slash = strrchr(text, '/');
	if (slash != text) {
		*slash = '\0';
		err = dw_make_dirs(text, 0750, fault);
		if (err != DW_OK)
			return err;
	}
	(void)snprintf(text, sizeof(text), "%s.lock", path);
	fd = open(text, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0660);
	if (fd < 0)
		return dw_fault_set(fault, errno == EACCES || errno == EPERM ? DW_E_PERMISSION : DW_E_CREATE, "bind", NULL,
			"cannot create '%s': %s", text, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		(void)close(fd);
		return dw_fault_set(fault, DW_E_IN_USE, "bind", "a path of its own for each hub",
			"another hub is already listening on '%s'", path);
	}
	bus->bounds[bus->bound_count] = (struct bound) { .lock = fd };
	(void)snprintf(bus->bounds[bus->bound_count].path, sizeof(bus->bounds->path), "%s", path);
	bus->bound_count++;
	return DW_OK;
}

/* Its number belongs to the socket for as long as that is open, also when the name is gone. */
static int
note_file(struct bound *bound, struct dw_fault *fault)
{
	struct stat file;

	if (lstat(bound->path, &file) != 0)
		return dw_fault_set(
			fault, DW_E_CREATE, "bind", NULL, "cannot find '%s' again: %s", bound->path, strerror(errno));
	bound->device = file.st_dev;
	bound->inode = file.st_ino;
	return DW_OK;
}

static int
bind_one(struct dw_bus *bus, const char *uri, struct dw_fault *fault)
{
	const char *path = has_prefix(uri, ipc_prefix) ? uri + strlen(ipc_prefix) : NULL;
	mode_t mask;
	int err, failed;

	err = check_uri(uri, fault);
	if (err == DW_OK && path != NULL)
		err = lock_path(bus, path, fault);
	if (err != DW_OK)
		return err;
	mask = umask(0117);
	failed = zmq_bind(bus->socket, uri) != 0 ? zmq_errno() : 0;
	(void)umask(mask);
	if (failed == EADDRINUSE)
		return dw_fault_set(fault, DW_E_IN_USE, "bind", NULL, "'%s' is already in use", uri);
	if (failed != 0)
		return dw_fault_set(fault, failed == EACCES || failed == EPERM ? DW_E_PERMISSION : DW_E_CREATE, "bind", NULL,
			"cannot listen on '%s': %s", uri, zmq_strerror(failed));
	return path != NULL ? note_file(&bus->bounds[bus->bound_count - 1], fault) : DW_OK;
}

int
dw_bus_bind(struct dw_bus **out, const char *const *uris, size_t count, struct dw_fault *fault)
{
	struct dw_bus *bus = NULL;
	int err = DW_OK;

	if (count == 0 || count > DW_BUS_BINDS_MAX)
		return dw_fault_set(fault, DW_E_CONFIG, "bind", NULL, "%zu addresses to listen on; 1 to %d are allowed", count,
			DW_BUS_BINDS_MAX);
	bus = new_bus(ZMQ_ROUTER, NULL);
	if (bus == NULL)
		return DW_E_NOMEM;
	bus->bounds = calloc(count, sizeof(*bus->bounds));
	if (bus->bounds == NULL)
		err = DW_E_NOMEM;
	for (size_t i = 0; i < count && err == DW_OK; i++)
		err = bind_one(bus, uris[i], fault);
	if (err == DW_OK)
		err = read_fd(bus);
	if (err != DW_OK)
		dw_bus_destroy(&bus);
	else
		*out = bus;
	return err;
}

int
dw_bus_connect(struct dw_bus **out, const char *uri, const struct dw_bus *beside, struct dw_fault *fault)
{
	const char *path = has_prefix(uri, ipc_prefix) ? uri + strlen(ipc_prefix) : NULL;
	struct dw_bus *bus;
	int err = check_uri(uri, fault);

	if (err != DW_OK)
		return err;
	if (path != NULL && access(path, W_OK) != 0 && (errno == EACCES || errno == EPERM))
		return dw_fault_set(fault, DW_E_PERMISSION, "endpoint", "membership of the group that owns the socket",
			"no permission to use '%s'", path);
	bus = new_bus(ZMQ_DEALER, beside);
	if (bus == NULL)
		return DW_E_NOMEM;
	bus->uri = strdup(uri);
	if (bus->uri == NULL)
		err = DW_E_NOMEM;
	else if (zmq_connect(bus->socket, uri) != 0)
		err = dw_fault_set(
			fault, DW_E_CONFIG, "endpoint", NULL, "cannot connect to '%s': %s", uri, zmq_strerror(zmq_errno()));
	else
		err = read_fd(bus);
	if (err != DW_OK)
		dw_bus_destroy(&bus);
	else
		*out = bus;
	return err;
}

void
dw_bus_reconnect(struct dw_bus *bus)
{
	(void)zmq_disconnect(bus->socket, bus->uri);
	(void)zmq_connect(bus->socket, bus->uri);
}

void
dw_bus_destroy(struct dw_bus **bus_p)
{
	struct dw_bus *bus = *bus_p;

	if (bus == NULL)
		return;
	if (bus->socket != NULL) {
		(void)zmq_msg_close(&bus->held);
		(void)zmq_close(bus->socket);
	}
	if (bus->context != NULL)
		leave_context(bus->context);
	for (size_t i = 0; i < bus->bound_count; i++)
		(void)close(bus->bounds[i].lock);
	free(bus->bounds);
	free(bus->uri);
	free(bus);
	*bus_p = NULL;
}

const char *
dw_bus_lost(const struct dw_bus *bus)
{
	for (size_t i = 0; i < bus->bound_count; i++) {
		const struct bound *bound = &bus->bounds[i];
		struct stat file;

		if (lstat(bound->path, &file) == 0 ? file.st_dev != bound->device || file.st_ino != bound->inode
										   : errno == ENOENT || errno == ENOTDIR)
			return bound->path;
	}
	return NULL;
}

int
dw_bus_fd(const struct dw_bus *bus)
{
	return bus->fd;
}

bool
dw_bus_readable(struct dw_bus *bus)
{
	int events = 0;
	size_t size = sizeof(events);

	return zmq_getsockopt(bus->socket, ZMQ_EVENTS, &events, &size) == 0 && (events & ZMQ_POLLIN) != 0;
}

/* Reads the next part into `held`. */
static bool
next_part(struct dw_bus *bus)
{
	(void)zmq_msg_close(&bus->held);
	(void)zmq_msg_init(&bus->held);
	return zmq_msg_recv(&bus->held, bus->socket, ZMQ_DONTWAIT) >= 0;
}

/* Reads to the end of a message that has more parts than the protocol knows. */
static void
skip_rest(struct dw_bus *bus)
{
	while (zmq_msg_more(&bus->held) && next_part(bus))
		continue;
}

int
dw_bus_recv(struct dw_bus *bus, uint32_t *peer, struct dw_str *frame)
{
	for (;;) {
		uint32_t from = 0;

		if (!next_part(bus))
			return DW_E_AGAIN;
		if (bus->router) {
			const uint8_t *id = zmq_msg_data(&bus->held);

			/* An id that the peer chose for itself has another form: not one of ours. */
			if (zmq_msg_size(&bus->held) != ID_SIZE || id[0] != 0 || !zmq_msg_more(&bus->held)) {
				skip_rest(bus);
				continue;
			}
			from = (uint32_t)id[1] << 24 | (uint32_t)id[2] << 16 | (uint32_t)id[3] << 8 | id[4];
			if (!next_part(bus))
				return DW_E_AGAIN;
		}
		if (zmq_msg_more(&bus->held)) {
			skip_rest(bus);
			continue;
		}
		*peer = from;
		*frame = (struct dw_str) { zmq_msg_data(&bus->held), zmq_msg_size(&bus->held) };
		return DW_OK;
	}
}

static int
send_error(void)
{
	return zmq_errno() == EHOSTUNREACH ? DW_E_UNKNOWN : DW_E_AGAIN;
}

/* The frame's memory is taken first: once the id was sent, whatever is sent next belongs to that peer. */
int
dw_bus_send(struct dw_bus *bus, uint32_t peer, const void *frame, size_t n)
{
	zmq_msg_t message;
	int err = DW_OK;

	if (zmq_msg_init_size(&message, n) != 0)
		return DW_E_NOMEM;
	memcpy(zmq_msg_data(&message), frame, n);
	if (bus->router) {
		const uint8_t id[ID_SIZE] = { 0, (uint8_t)(peer >> 24), (uint8_t)(peer >> 16), (uint8_t)(peer >> 8),
			(uint8_t)peer };

		if (zmq_send(bus->socket, id, sizeof(id), ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
			err = send_error();
	}
	if (err == DW_OK && zmq_msg_send(&message, bus->socket, ZMQ_DONTWAIT) < 0)
		err = send_error();
	(void)zmq_msg_close(&message);
	return err;
}

bool
dw_bus_wait(struct dw_bus *bus, int64_t timeout_ms)
{
	zmq_pollitem_t item = { bus->socket, 0, ZMQ_POLLIN, 0 };

	return zmq_poll(&item, 1, (long)timeout_ms) > 0;
}
