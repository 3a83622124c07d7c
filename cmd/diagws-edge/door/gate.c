/* The gate: see gate.h. It has an epoll set of its own, edge-triggered, so that a socket costs one system call to wait
 * and one to leave, and none where the request came with the connection.
 *
 * Happy path: gate_take → look, now or when something comes → gate_http, or server_adopt. What begins with "GET /ws/"
 * is taken from the socket as far as its head goes and not a byte further, so that frames behind it stay for
 * libwebsockets; everything else is left in the socket. Whatever is not a good upgrade goes to HTTP, which answers it.
 * Failure modes: silence for GATE_MS, a PROXY header that is none, no memory: closed. Too many wait: the oldest goes.
 * Invariants: all wait equally long, so the list is in the order of their ends.
 */
#include "gate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>
#include <uv.h>

#include "base/clock.h"
#include "cli/logging.h"
#include "door/address.h"
#include "door/proxy.h"
#include "door/server.h"
#include "door/upgrade.h"
#include "edge.h"

enum {
	GATE_MS = 10 * 1000,
	GATE_MOST = 4096,
	PEEK = 32 * 1024,
	EVENTS = 4, /* a turn, as in listen.c */
};

static const char upgrade_prefix[] = "GET /ws/";

struct visitor {
	struct visitor *prev, *next;
	uint64_t until;
	int fd;
	bool watched; /* in the epoll set */
	bool proxied; /* its PROXY header is still to come */
	size_t scanned;
	struct dw_buf taken; /* of an upgrade's head */
	struct address address;
};

struct gate {
	struct edge *edge;
	gate_http *http;
	uv_poll_t poll;
	int epoll;
	struct visitor *visitors;
	size_t count;
	struct dw_wheel_timer timer;
	char bytes[PEEK];
};

static void
set_timer(struct gate *gate)
{
	if (gate->visitors == NULL)
		dw_wheel_cancel(&gate->timer);
	else if (gate->timer.link == NULL || gate->timer.due != gate->visitors->until)
		dw_wheel_set(&gate->edge->wheel, &gate->timer, gate->visitors->until);
}

/* It leaves the gate; its descriptor stays open. */
static void
leave(struct gate *gate, struct visitor *visitor)
{
	if (visitor->watched)
		(void)epoll_ctl(gate->epoll, EPOLL_CTL_DEL, visitor->fd, NULL);
	DL_DELETE(gate->visitors, visitor);
	gate->count--;
	set_timer(gate);
	if (visitor->taken.data != NULL)
		explicit_bzero(visitor->taken.data, visitor->taken.len); /* there may be a token in it */
	dw_buf_clear(&visitor->taken);
	free(visitor);
}

static void
dismiss(struct gate *gate, struct visitor *visitor)
{
	const int fd = visitor->fd;

	leave(gate, visitor);
	(void)close(fd);
}

static void
go_to_http(struct gate *gate, struct visitor *visitor)
{
	const struct dw_str taken = { visitor->taken.data, visitor->taken.len };

	if (gate->http(gate->edge, visitor->fd, &visitor->address, taken))
		leave(gate, visitor);
	else
		dismiss(gate, visitor);
}

/* Takes n bytes that have been peeked at from the socket; false: that did not work. */
static bool
take_bytes(struct gate *gate, struct visitor *visitor, size_t n)
{
	return recv(visitor->fd, gate->bytes, n, MSG_DONTWAIT) == (ssize_t)n;
}

/* The head of what may be an upgrade; n bytes of it are in the socket, and in gate->bytes. false: it has left. */
static bool
look_at_head(struct gate *gate, struct visitor *visitor, size_t n)
{
	const size_t before = visitor->taken.len;
	struct head head;
	size_t end;

	dw_buf_add(&visitor->taken, gate->bytes, n);
	if (!dw_buf_ok(&visitor->taken)) {
		dismiss(gate, visitor);
		return false;
	}
	if (head_end(visitor->taken.data, visitor->taken.len, &visitor->scanned, &end) == HEAD_OK && end == 0)
		return take_bytes(gate, visitor, n);
	/* Whole, or never to be: exactly what is looked at goes along. */
	visitor->taken.len = end > 0 ? end : visitor->taken.len;
	if (!take_bytes(gate, visitor, visitor->taken.len - before)) {
		dismiss(gate, visitor);
	} else if (end > 0 && head_parse(visitor->taken.data, end, &head) == HEAD_OK && upgrade_asked(&head) &&
			   upgrade_check(&head, &gate->edge->config.origins) == HEAD_OK) {
		const int fd = visitor->fd;

		if (visitor->watched)
			(void)epoll_ctl(gate->epoll, EPOLL_CTL_DEL, fd, NULL);
		visitor->watched = false;
		(void)server_adopt(gate->edge->server, fd, &visitor->address, &head);
		leave(gate, visitor);
	} else {
		go_to_http(gate, visitor);
	}
	return false;
}

/* Whether the first bytes may still become, or are, those of an upgrade. */
static bool
may_be_upgrade(struct dw_str taken, struct dw_str more)
{
	static const char polls[] = "GET /ws/messages/";
	const struct dw_str first = taken.n > 0 ? taken : more; /* what was taken has looked like one */
	const size_t n = sizeof(upgrade_prefix) - 1, m = sizeof(polls) - 1;

	if (first.n >= m && memcmp(first.p, polls, m) == 0)
		return false;
	return memcmp(first.p, upgrade_prefix, first.n < n ? first.n : n) == 0;
}

/* false: it has left, or is to be closed. */
static bool
take_proxy_header(struct gate *gate, struct visitor *visitor, size_t n)
{
	size_t used;
	int err = proxy_read(gate->bytes, n, &used, &visitor->address);

	if (err == DW_E_AGAIN)
		return true;
	if (err != DW_OK || !take_bytes(gate, visitor, used)) {
		dw_log_debug("a connection without a PROXY header was closed", NULL);
		dismiss(gate, visitor);
		return false;
	}
	visitor->proxied = false;
	return true;
}

/* As far as the socket has something. false: it has left. */
static bool
look(struct gate *gate, struct visitor *visitor)
{
	for (;;) {
		const bool proxied = visitor->proxied;
		const ssize_t n = recv(visitor->fd, gate->bytes, sizeof(gate->bytes), MSG_PEEK | MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n <= 0) {
			dismiss(gate, visitor);
			return false;
		}
		if (proxied) {
			if (!take_proxy_header(gate, visitor, (size_t)n))
				return false;
			if (visitor->proxied)
				return true;
			continue;
		}
		if (!may_be_upgrade((struct dw_str) { visitor->taken.data, visitor->taken.len },
				(struct dw_str) { gate->bytes, (size_t)n })) {
			go_to_http(gate, visitor);
			return false;
		}
		if (!look_at_head(gate, visitor, (size_t)n))
			return false;
	}
}

static void
on_readable(uv_poll_t *poll, int status, int events)
{
	struct gate *gate = poll->data;
	struct epoll_event ready[EVENTS];
	int count = epoll_wait(gate->epoll, ready, EVENTS, 0);

	(void)status;
	(void)events;
	for (int i = 0; i < count; i++)
		(void)look(gate, ready[i].data.ptr);
}

static void
watch(struct gate *gate, struct visitor *visitor)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.ptr = visitor };

	visitor->watched = epoll_ctl(gate->epoll, EPOLL_CTL_ADD, visitor->fd, &event) == 0;
	if (!visitor->watched)
		dismiss(gate, visitor);
	else
		set_timer(gate);
}

void
gate_take(struct gate *gate, int fd, const struct address *address)
{
	struct visitor *visitor = calloc(1, sizeof(*visitor));

	if (visitor == NULL) {
		(void)close(fd);
		return;
	}
	if (gate->count >= GATE_MOST)
		(void)gate_evict(gate, 0);
	visitor->fd = fd;
	visitor->until = dw_mono_ms() + GATE_MS;
	visitor->proxied = gate->edge->config.proxied;
	visitor->address = *address;
	DL_APPEND(gate->visitors, visitor);
	gate->count++;
	if (look(gate, visitor))
		watch(gate, visitor);
}

size_t
gate_count(const struct gate *gate)
{
	return gate->count;
}

bool
gate_evict(struct gate *gate, uint64_t ms)
{
	if (gate->visitors == NULL || gate->visitors->until - GATE_MS + ms > dw_mono_ms())
		return false;
	dismiss(gate, gate->visitors);
	return true;
}

void
gate_close(struct gate *gate)
{
	while (gate_evict(gate, 0))
		;
}

static void
fire(struct dw_wheel_timer *timer)
{
	struct gate *gate = (struct gate *)((char *)timer - offsetof(struct gate, timer));
	const uint64_t now = dw_mono_ms();

	while (gate->visitors != NULL && gate->visitors->until <= now)
		dismiss(gate, gate->visitors);
	set_timer(gate);
}

int
gate_new(struct gate **out, struct edge *edge, gate_http *http)
{
	struct gate *gate = calloc(1, sizeof(*gate));

	if (gate == NULL)
		return DW_E_NOMEM;
	gate->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (gate->epoll < 0 || uv_poll_init(edge->loop, &gate->poll, gate->epoll) != 0) {
		if (gate->epoll >= 0)
			(void)close(gate->epoll);
		free(gate);
		return DW_E_NOMEM;
	}
	gate->edge = edge;
	gate->http = http;
	gate->timer.fire = fire;
	gate->poll.data = gate;
	(void)uv_poll_start(&gate->poll, UV_READABLE, on_readable);
	*out = gate;
	return DW_OK;
}

static void
free_gate(uv_handle_t *handle)
{
	free(handle->data);
}

void
gate_destroy(struct gate **gate_p)
{
	struct gate *gate = *gate_p;

	if (gate == NULL)
		return;
	*gate_p = NULL;
	gate_close(gate);
	dw_wheel_cancel(&gate->timer);
	(void)uv_poll_stop(&gate->poll);
	(void)close(gate->epoll);
	uv_close((uv_handle_t *)&gate->poll, free_gate);
}
