/* The gate: see gate.h. Its own epoll set, edge-triggered, makes a socket cost one system call to wait and one to
 * leave, and none where the request came with the connection.
 *
 * Happy path: gate_take → look, now or when something comes → leave: dw_http_take, or server_adopt. What begins with
 * "GET /ws/" is taken from the socket as far as its head goes and not a byte further, so that frames behind it stay for
 * libwebsockets; all else stays in the socket. Whatever is not a good upgrade goes to HTTP, which answers it. Failure
 * modes: silence for GATE_MS, no good PROXY header, no memory: closed. Too many wait: the oldest goes.
 * Invariant: all wait equally long, so the list is in the order of their ends.
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
#include "http/address.h"
#include "http/http.h"
#include "door/server.h"
#include "door/upgrade.h"
#include "edge.h"

enum {
	GATE_MS = 10 * 1000,
	GATE_MOST = 4096,
	PEEK = 32 * 1024,
	EVENTS = 4, /* a turn, as in listen.c */
};

enum fate { WAITS, HAS_MORE, ENDS, GOES_TO_HTTP, UPGRADES };

struct visitor {
	struct visitor *prev, *next;
	uint64_t until;
	int fd;
	bool watched; /* in the epoll set */
	bool proxied; /* its PROXY header is still to come */
	size_t scanned;
	struct dw_buf taken; /* of an upgrade's head */
	struct dw_http_address address;
};

struct gate {
	struct edge *edge;
	uv_poll_t poll;
	int epoll;
	struct visitor *visitors;
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

/* It leaves the gate; head: of one that upgrades. */
static void
leave(struct gate *gate, struct visitor *visitor, enum fate fate, const struct dw_http_head *head)
{
	const struct dw_str taken = { visitor->taken.data, visitor->taken.len };
	const int fd = visitor->fd;

	if (visitor->watched)
		(void)epoll_ctl(gate->epoll, EPOLL_CTL_DEL, fd, NULL);
	if (fate == UPGRADES)
		(void)server_adopt(gate->edge->server, fd, &visitor->address, head);
	else if (fate == ENDS || !dw_http_take(gate->edge->http, fd, &visitor->address, taken))
		(void)close(fd);
	DL_DELETE(gate->visitors, visitor);
	gate->edge->counts.visitors--;
	set_timer(gate);
	if (taken.n > 0)
		explicit_bzero(visitor->taken.data, taken.n); /* there may be a token in it */
	dw_buf_clear(&visitor->taken);
	free(visitor);
}

/* Takes n bytes that have been peeked at from the socket. */
static enum fate
take_bytes(struct gate *gate, struct visitor *visitor, size_t n)
{
	return recv(visitor->fd, gate->bytes, n, MSG_DONTWAIT) == (ssize_t)n ? HAS_MORE : ENDS;
}

/* The head of what may be an upgrade; n bytes of it are in the socket, and in gate->bytes. */
static enum fate
look_at_head(struct gate *gate, struct visitor *visitor, size_t n, struct dw_http_head *head)
{
	const size_t before = visitor->taken.len;
	enum dw_http_fault fault;
	size_t end;

	dw_buf_add(&visitor->taken, gate->bytes, n);
	if (!dw_buf_ok(&visitor->taken))
		return ENDS;
	if (dw_http_head_end(visitor->taken.data, visitor->taken.len, &visitor->scanned, &end) == DW_HEAD_OK && end == 0)
		return take_bytes(gate, visitor, n);
	/* It is whole, or can never be; HTTP gets exactly what was looked at. */
	visitor->taken.len = end > 0 ? end : visitor->taken.len;
	if (take_bytes(gate, visitor, visitor->taken.len - before) == ENDS)
		return ENDS;
	return end > 0 && dw_http_head_parse(visitor->taken.data, end, head) == DW_HEAD_OK &&
				   upgrade_asked(head, &gate->edge->config.origins, &fault) && fault == DW_HEAD_OK
			   ? UPGRADES
			   : GOES_TO_HTTP;
}

/* Whether the first bytes may still become, or are, those of an upgrade. */
static bool
may_be_upgrade(struct dw_str taken, struct dw_str more)
{
	static const char upgrades[] = "GET /ws/", polls[] = "GET /ws/messages/";
	const struct dw_str first = taken.n > 0 ? taken : more; /* what was taken has looked like one */
	const size_t n = sizeof(upgrades) - 1, m = sizeof(polls) - 1;

	if (first.n >= m && memcmp(first.p, polls, m) == 0)
		return false;
	return memcmp(first.p, upgrades, first.n < n ? first.n : n) == 0;
}

static enum fate
take_proxy_header(struct gate *gate, struct visitor *visitor, size_t n)
{
	size_t used;
	int err = dw_http_proxy_read(gate->bytes, n, &used, &visitor->address);

	if (err == DW_E_AGAIN)
		return WAITS;
	visitor->proxied = false;
	if (err == DW_OK && take_bytes(gate, visitor, used) != ENDS)
		return HAS_MORE;
	dw_log_debug("a connection without a PROXY header was closed", NULL);
	return ENDS;
}

static enum fate
look_at_bytes(struct gate *gate, struct visitor *visitor, struct dw_http_head *head)
{
	ssize_t n;

	n = recv(visitor->fd, gate->bytes, sizeof(gate->bytes), MSG_PEEK | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return WAITS;
	if (n <= 0)
		return ENDS;
	if (visitor->proxied)
		return take_proxy_header(gate, visitor, (size_t)n);
	if (!may_be_upgrade(dw_bytes(visitor->taken.data, visitor->taken.len), dw_bytes(gate->bytes, (size_t)n)))
		return GOES_TO_HTTP;
	return look_at_head(gate, visitor, (size_t)n, head);
}

/* As far as the socket has something. false: it has left. */
static bool
look(struct gate *gate, struct visitor *visitor)
{
	struct dw_http_head head;
	enum fate fate;

	do
		fate = look_at_bytes(gate, visitor, &head);
	while (fate == HAS_MORE);
	if (fate != WAITS)
		leave(gate, visitor, fate, &head);
	return fate == WAITS;
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
		leave(gate, visitor, ENDS, NULL);
	else
		set_timer(gate);
}

void
gate_take(struct gate *gate, int fd, const struct dw_http_address *address)
{
	struct visitor *visitor = calloc(1, sizeof(*visitor));

	if (visitor == NULL) {
		(void)close(fd);
		return;
	}
	if (gate->edge->counts.visitors >= GATE_MOST)
		(void)gate_evict(gate, 0);
	visitor->fd = fd;
	visitor->until = dw_mono_ms() + GATE_MS;
	visitor->proxied = gate->edge->config.proxied;
	visitor->address = *address;
	DL_APPEND(gate->visitors, visitor);
	gate->edge->counts.visitors++;
	if (look(gate, visitor))
		watch(gate, visitor);
}

bool
gate_evict(struct gate *gate, uint64_t ms)
{
	if (gate->visitors == NULL || gate->visitors->until - GATE_MS + ms > dw_mono_ms())
		return false;
	leave(gate, gate->visitors, ENDS, NULL);
	return true;
}

static void
fire(struct dw_wheel_timer *timer)
{
	struct gate *gate = (struct gate *)((char *)timer - offsetof(struct gate, timer));

	while (gate_evict(gate, GATE_MS))
		;
	set_timer(gate);
}

int
gate_new(struct gate **out, struct edge *edge)
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
	while (gate_evict(gate, 0))
		;
	dw_wheel_cancel(&gate->timer);
	(void)uv_poll_stop(&gate->poll);
	(void)close(gate->epoll);
	uv_close((uv_handle_t *)&gate->poll, free_gate);
}
