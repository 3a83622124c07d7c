/* Words to the service manager, of hub and edge. Why not sd_notify(3): it waits while the manager's queue is full,
 * which for a unix socket is after ten datagrams. A manager that stands still, as `diagws up` does under ^Z, would
 * thereby stop every process that it watches.
 *
 * Failure modes: a full queue, or no memory, leaves the state for the next call; no manager is told nothing.
 */
#include "cli/notify.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "base/buf.h"

enum { RETRY_MS = 50, TIMES = 3 };

static int fd = -1;        /* kept: later there may be none to be had */
static const char *unsaid; /* there was no room for it */
static uint64_t next_ms;

/* False: later there may be room for it. */
static bool
send_state(const char *state)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t size;

	if (name == NULL || !dw_str_copy(dw_str(name), address.sun_path, sizeof(address.sun_path)))
		return true;
	size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	if (fd < 0)
		fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return fd >= 0 && (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, size) >= 0 ||
						  (errno != EAGAIN && errno != EINTR && errno != ENOBUFS && errno != ENOMEM));
}

static void
say(const char *state)
{
	unsaid = send_state(state) ? NULL : state;
}

void
dw_notify(const char *state)
{
	say(state);
	next_ms = 0;
}

uint64_t
dw_notify_alive(uint64_t now_ms)
{
	uint64_t watchdog_us = 0;
	bool watched;

	if (now_ms < next_ms)
		return next_ms;
	watched = sd_watchdog_enabled(0, &watchdog_us) > 0;
	if (unsaid != NULL)
		say(unsaid);
	else if (watched)
		say("WATCHDOG=1");
	if (unsaid != NULL)
		next_ms = now_ms + RETRY_MS;
	else
		next_ms = watched ? now_ms + watchdog_us / 1000 / TIMES : UINT64_MAX;
	return next_ms;
}
