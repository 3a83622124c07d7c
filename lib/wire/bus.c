/* A connection to a hub, by ZeroMQ. Its own file because only it includes zmq.h and knows its traps: heartbeats that
 * lose accepted messages (so: none here, the protocol has its own), a DEALER that hoards for a hub that is not there
 * (so: IMMEDIATE). The hub's end is router.h.
 *
 * Failure modes: a URI we refuse, a socket without permission. After set-up nothing fails but "not now".
 */
#include "wire/bus.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "wire/endpoint.h"

/* HIGH_WATER is frames, above every window of the protocol, so that it is only met by a hub that does not read. */
enum { HIGH_WATER = 20000, LINGER_MS = 500, RECONNECT_MS = 50, RECONNECT_MAX_MS = 200 };

/* What several sockets of one thread may share: ZeroMQ's own thread. */
struct context {
	void *zmq;
	size_t users;
};

struct dw_bus {
	struct context *context;
	void *socket;
	zmq_msg_t held; /* what the last recv lent out */
	char *uri;
	int fd;
};

static struct dw_bus *
new_bus(const struct dw_bus *beside)
{
	static const int options[][2] = { { ZMQ_SNDHWM, HIGH_WATER }, { ZMQ_RCVHWM, HIGH_WATER }, { ZMQ_LINGER, LINGER_MS },
		{ ZMQ_IPV6, 1 }, { ZMQ_HEARTBEAT_IVL, 0 }, { ZMQ_IMMEDIATE, 1 }, { ZMQ_RECONNECT_IVL, RECONNECT_MS },
		{ ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS } };
	const int64_t frame_max = 2 * 1024 * 1024;
	struct dw_bus *bus = calloc(1, sizeof(*bus));

	if (bus == NULL)
		return NULL;
	bus->context = beside != NULL ? beside->context : calloc(1, sizeof(*bus->context));
	if (bus->context != NULL && bus->context->users++ == 0)
		bus->context->zmq = zmq_ctx_new();
	bus->socket = bus->context != NULL && bus->context->zmq != NULL ? zmq_socket(bus->context->zmq, ZMQ_DEALER) : NULL;
	if (bus->socket == NULL) {
		dw_bus_destroy(&bus);
		return NULL;
	}
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		(void)zmq_setsockopt(bus->socket, options[i][0], &options[i][1], sizeof(int));
	(void)zmq_setsockopt(bus->socket, ZMQ_MAXMSGSIZE, &frame_max, sizeof(frame_max));
	(void)zmq_msg_init(&bus->held);
	return bus;
}

int
dw_bus_connect(struct dw_bus **out, const char *uri, const struct dw_bus *beside, struct dw_fault *fault)
{
	const char *path = dw_endpoint_path(uri);
	size_t fd_size = sizeof(int);
	struct dw_bus *bus;
	int err = dw_endpoint_check(uri, fault);

	if (err != DW_OK)
		return err;
	if (path != NULL && access(path, W_OK) != 0 && (errno == EACCES || errno == EPERM))
		return dw_fault_set(fault, DW_E_PERMISSION, "endpoint", "membership of the group that owns the socket",
			"no permission to use '%s'", path);
	bus = new_bus(beside);
	if (bus == NULL)
		return DW_E_NOMEM;
	bus->uri = strdup(uri);
	if (bus->uri == NULL)
		err = DW_E_NOMEM;
	else if (zmq_connect(bus->socket, uri) != 0)
		err = dw_fault_set(
			fault, DW_E_CONFIG, "endpoint", NULL, "cannot connect to '%s': %s", uri, zmq_strerror(zmq_errno()));
	else if (zmq_getsockopt(bus->socket, ZMQ_FD, &bus->fd, &fd_size) != 0)
		err = DW_E_INTERNAL;
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
	if (bus->context != NULL && --bus->context->users == 0) {
		if (bus->context->zmq != NULL)
			(void)zmq_ctx_term(bus->context->zmq);
		free(bus->context);
	}
	free(bus->uri);
	free(bus);
	*bus_p = NULL;
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

/* A message that has more parts than the protocol knows is passed over. */
int
dw_bus_recv(struct dw_bus *bus, struct dw_str *frame)
{
	bool first = true, last;

	for (;; first = last) {
		(void)zmq_msg_close(&bus->held);
		(void)zmq_msg_init(&bus->held);
		if (zmq_msg_recv(&bus->held, bus->socket, ZMQ_DONTWAIT) < 0)
			return DW_E_AGAIN;
		last = !zmq_msg_more(&bus->held);
		if (first && last)
			break;
	}
	*frame = (struct dw_str) { zmq_msg_data(&bus->held), zmq_msg_size(&bus->held) };
	return DW_OK;
}

int
dw_bus_send(struct dw_bus *bus, const void *frame, size_t n)
{
	return zmq_send(bus->socket, frame, n, ZMQ_DONTWAIT) >= 0 ? DW_OK : DW_E_AGAIN;
}

bool
dw_bus_wait(struct dw_bus *bus, int64_t timeout_ms)
{
	zmq_pollitem_t item = { bus->socket, 0, ZMQ_POLLIN, 0 };

	return zmq_poll(&item, 1, (long)timeout_ms) > 0;
}
