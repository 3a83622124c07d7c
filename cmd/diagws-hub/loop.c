/* The hub's loop. One turn (the steps are in hear.c and turn.c):
 *   frames → handlers → batch and outbox; who has gone is forgotten; a batch that came back → rooms and outbox;
 *   the store is idle → it gets the batch; the outbox is flushed, readers are served.
 *
 * Where a look brought several messages and a commit is at the disk (or about to be), peers are left alone for
 * GATHER_US: what comes has to wait for that commit anyway, and to wake for each frame costs more than the frame.
 *
 * SIGTERM and SIGINT: nothing is heard any more; what is staged and every cursor is committed and answered, peers are
 * told, the loop ends. So it does when a socket's file is gone, for nobody can find this hub then, but in failure, so
 * that another is started. A fatal error ends it after what can be sent was. A loop that is stuck leaves its watchdog
 * without a word (notify.h); a disk that is does not, for the next hub would wait for it as well.
 */
#include "turn.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/wheel.h"
#include "cli/logging.h"
#include "cli/notify.h"
#include "handle/handlers.h"
#include "hub.h"
#include "peers/outbox.h"
#include "peers/peers.h"
#include "rooms/sessions.h"
#include "rooms/rooms.h"
#include "store/stage.h"
#include "store/store.h"
#include "tables/scan.h"
#include "wire/router.h"

enum { TICK_MS = 1000, CURSORS_EVERY = 5, GATHER_US = 100, FAREWELL_MS = 500, MOMENT_MS = 100, LOOK_MS = 20 };

static void
begin_close(struct hub *hub)
{
	if (hub->closing)
		return;
	dw_log_info("hub stopping", "staged=%zu", hub->batch->count);
	dw_notify("STOPPING=1");
	hub->closing = true;
	rooms_begin_cursors(hub);
	rooms_write_cursors(hub, SIZE_MAX);
}

static void
take_signals(struct hub *hub, int fd)
{
	struct signalfd_siginfo info;

	while (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			begin_close(hub);
}

static void
look_for_socket(struct hub *hub)
{
	const char *path = hub->closing ? NULL : dw_router_lost(hub->router);

	if (path == NULL)
		return;
	dw_log_error(
		"socket removed or replaced: nobody can connect; committing what was taken, then ending with exit status "
		"75 to be started again",
		"path=%s", path);
	hub->closing_err = DW_E_HUB_AWAY;
	begin_close(hub);
}

static void
tick(struct hub *hub, uint64_t count)
{
	look_for_socket(hub);
	dw_router_tick(hub->router);
	peers_tick(hub);
	if (count % CURSORS_EVERY == 0)
		rooms_begin_cursors(hub);
}

/* Nothing new is taken any more when it ends: whatever comes, what was taken is carried out and that is all. */
static size_t
take_in(struct hub *hub, bool *more)
{
	*more = false;
	if (!hub->closing)
		return hear(hub, more);
	(void)dw_router_turn(hub->router);
	return 0;
}

/* True: more is likely to come before it can be committed. */
static bool
turn(struct hub *hub, bool *more)
{
	const size_t came = take_in(hub, more);
	struct batch *batch;

	peers_forget_gone(hub); /* before anything is said to them */
	batch = store_take(hub->store);
	if (batch != NULL)
		turn_apply(hub, batch);
	rooms_write_cursors(hub, HUB_CURSORS);
	if (hub->fatal == DW_OK)
		turn_commit(hub);
	*more |= turn_timers(hub);
	*more |= scans_turn(hub);
	rooms_evict(hub);
	turn_send(hub);
	return came > 1 && (!store_idle(hub->store) || hub->batch->count > 0);
}

static bool
is_unsent(const struct hub *hub)
{
	const struct peer *peer;

	for (peer = hub->peers; peer != NULL; peer = peer->hh.next)
		if (dw_router_unsent(hub->router, peer->number) > 0)
			return true;
	return false;
}

/* To those who take it soon. A moment passes before their connections end, for ZeroMQ drops what its program has not
 * read by then. */
static void
say_shutdown(struct hub *hub)
{
	const struct dw_wire notice = { .kind = DW_SHUTDOWN };
	const uint64_t now = dw_mono_ms();
	struct pollfd fd = { dw_router_fd(hub->router), POLLIN, 0 };
	const struct peer *peer;

	for (peer = hub->peers; peer != NULL; peer = peer->hh.next)
		if (peer->known)
			outbox_add(hub, peer->number, &notice);
	turn_send(hub);
	while (hub->peers != NULL && dw_mono_ms() < now + (is_unsent(hub) ? FAREWELL_MS : MOMENT_MS)) {
		(void)poll(&fd, 1, LOOK_MS);
		(void)dw_router_turn(hub->router);
	}
}

static int
finish(struct hub *hub)
{
	say_shutdown(hub);
	if (hub->fatal == DW_OK) {
		dw_log_info("hub stopped", "head=%llu", (unsigned long long)hub->info.head);
		return dw_err_exit(hub->closing_err);
	}
	dw_log_error("hub ends", "error=%s", dw_err_code(hub->fatal));
	/* Trying again does not mend a disk: an I/O error, not a temporary failure. */
	return dw_err_exit(hub->fatal == DW_E_STORAGE ? DW_E_IO : hub->fatal);
}

/* fds: the router's is the last. */
static void
wait_for_work(struct hub *hub, struct pollfd fds[3], uint64_t until, bool gathers, bool more)
{
	const uint64_t now = dw_mono_ms(), due = stage_due(hub), timers = dw_wheel_next(&hub->wheel);
	const uint64_t first = timers < until ? timers : until;
	uint64_t wait = now < first ? (first - now) * 1000 : 0;
	struct timespec most;

	if (due < wait)
		wait = due;
	if (hub->talkers != NULL && wait > HUB_STUCK_US)
		wait = HUB_STUCK_US; /* they may go on when the store is found to be stuck: see stage_crowded */
	if (gathers && wait > GATHER_US)
		wait = GATHER_US;
	if (more || hub->serving != NULL || (!gathers && !hub->closing && dw_router_readable(hub->router)))
		wait = 0;
	most = (struct timespec) { (time_t)(wait / 1000000), (long)(wait % 1000000 * 1000) };
	(void)ppoll(fds, gathers ? 2 : 3, &most, NULL);
}

int
loop_run(struct hub *hub)
{
	struct pollfd fds[3] = { { store_fd(hub->store), POLLIN, 0 }, { -1, POLLIN, 0 },
		{ dw_router_fd(hub->router), POLLIN, 0 } };
	uint64_t ticks = 0, next_tick = dw_mono_ms() + TICK_MS;
	bool gathers = false, more = false;
	sigset_t signals;

	(void)pthread_sigmask(SIG_BLOCK, NULL, &signals); /* what main blocked */
	fds[1].fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	(void)prctl(PR_SET_TIMERSLACK, 1); /* or the kernel makes HUB_LINGER_US half as long again */
	while (hub->fatal == DW_OK) {
		const uint64_t next_word = dw_notify_alive(dw_mono_ms());

		wait_for_work(hub, fds, next_word < next_tick ? next_word : next_tick, gathers, more);
		take_signals(hub, fds[1].fd);
		if (dw_mono_ms() >= next_tick) {
			tick(hub, ++ticks);
			next_tick = dw_mono_ms() + TICK_MS;
		}
		gathers = turn(hub, &more);
		if (hub->closing && store_idle(hub->store) && hub->batch->count == 0)
			break;
	}
	(void)close(fds[1].fd);
	return finish(hub);
}
