/* What clients send that says nothing: see conn.h. Failure modes: without memory for its place a client is not
 * weighed.
 */
#include "conn.h"

#include <sys/socket.h>

#include "base/clock.h"
#include "http/receive.h"
#include "door/server.h"
#include "message/position.h"

enum {
	CLIENT_NOISE = 8192,   /* bytes that a client may send at once in frames that say nothing, as PINGs, */
	CLIENT_NOISE_RATE = 1, /* and then in a millisecond, */
	SLOWED_MS = 1000,      /* or it is not read from for so long */
	HEADER = 8,            /* of a client's frame, at most */
	READ_MOST = 4096,
	READ_LEAST = 512,
};

static void
slow(struct conn *conn)
{
	if (conn->slowed || conn->early)
		return;
	conn->slowed = true;
	conn->noise_at = (uint32_t)dw_mono_ms();
	server_hold(conn->wsi, true);
	conn_wake(conn, dw_mono_ms() + SLOWED_MS);
}

void
noise_abuse(struct conn *conn)
{
	conn->over = true;
	conn->budget_at = dw_mono_ms();
	slow(conn);
	conn_wake(conn, conn->budget_at + SLOWED_MS);
}

/* So much is to be read from it at once: of one that has said much that says nothing, a little. */
static size_t
read_most(const struct conn *conn)
{
	if (conn->noise > CLIENT_NOISE - READ_LEAST)
		return READ_LEAST;
	return dw_less((uint64_t)(CLIENT_NOISE - conn->noise), READ_MOST);
}

bool
noise_may(uint64_t *all_at, uint64_t now, uint64_t most)
{
	const uint64_t each = 1000 / CLIENT_RATE, at = dw_greater(*all_at, now);

	if (at - now >= most * each)
		return false;
	*all_at = at + each;
	return true;
}

static void
weigh(struct conn *conn, size_t n)
{
	const uint32_t now = (uint32_t)dw_mono_ms();
	const uint64_t left = (uint64_t)CLIENT_NOISE_RATE * (uint32_t)(now - conn->noise_at);

	conn->noise = conn->noise > 0 && (uint64_t)conn->noise > left ? conn->noise - (int32_t)left : 0;
	conn->noise_at = now;
	if (conn->noise > CLIENT_NOISE && conn->state == CONN_OPEN && !conn->over)
		slow(conn);
	else if (conn->noise > CLIENT_NOISE && conn->state == CONN_AWAITING)
		conn_close(conn, 1008, dw_err_text(DW_E_RATE));
	conn->noise += (int32_t)n;
}

static ssize_t
receive(void *user, int fd, void *buffer, size_t n, int flags)
{
	const bool peeks = (flags & MSG_PEEK) != 0;
	const ssize_t got = recvfrom(fd, buffer, peeks ? n : dw_less(n, read_most(user)), flags, NULL, NULL);

	if (got > 0 && !peeks)
		weigh(user, (size_t)got);
	return got;
}

void
noise_begin(struct conn *conn)
{
	if (conn->fd >= 0)
		(void)dw_http_receive_set(conn->fd, receive, conn);
}

void
noise_end(const struct conn *conn)
{
	if (dw_http_receive_user(conn->fd, receive) == conn)
		(void)dw_http_receive_set(conn->fd, NULL, NULL);
}

void
noise_said(struct conn *conn, size_t n, bool whole)
{
	if (n > 0) /* an empty fragment says nothing */
		conn->noise -= (int32_t)(n + (whole ? HEADER : 0));
}

/* How long it has been neither read from nor, where it is to be closed, listened to; SLOWED_MS when that is enough. */
static uint64_t
waited(const struct conn *conn, uint64_t now)
{
	const uint64_t ms = conn->over ? now - conn->budget_at : (uint32_t)((uint32_t)now - conn->noise_at);

	return dw_less(ms, SLOWED_MS);
}

uint64_t
noise_due(const struct conn *conn, uint64_t due)
{
	const uint64_t now = dw_mono_ms();

	return conn->slowed || conn->over ? dw_less(due, now + SLOWED_MS - waited(conn, now)) : due;
}

void
noise_fire(struct conn *conn, uint64_t now)
{
	if (conn->state != CONN_OPEN || !(conn->slowed || conn->over) || waited(conn, now) < SLOWED_MS)
		return;
	if (conn->over) {
		conn_close(conn, 1008, dw_err_text(DW_E_RATE));
		return;
	}
	conn->slowed = false;
	conn->heard_at = now; /* it may have said something meanwhile */
	if (!conn->early)
		server_hold(conn->wsi, false);
}
