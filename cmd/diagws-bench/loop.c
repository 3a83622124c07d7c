/* Its own file because everything else is called from here. The alarm is a timerfd, for epoll_wait(2) counts in
 * milliseconds and a schedule of thousands of messages a second does not. Failure modes: no descriptors, no memory.
 */
#include "loop.h"

#include <errno.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "cli/interrupt.h"

enum { EVENTS = 512, SECOND = 1000000000 };

uint64_t
now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

static void
on_alarm(struct source *source, uint32_t events)
{
	struct loop *loop = (struct loop *)((char *)source - offsetof(struct loop, alarm_source));
	uint64_t times;

	(void)events;
	if (read(loop->alarm, &times, sizeof(times)) > 0)
		loop->alarm_at = 0;
}

static void
on_interrupt(struct source *source, uint32_t events)
{
	struct loop *loop = (struct loop *)((char *)source - offsetof(struct loop, interrupt_source));

	(void)events;
	if (dw_interrupted() && loop->failed == DW_OK)
		loop->failed = DW_E_CLOSING;
}

int
loop_init(struct loop *loop, int64_t timeout_ms)
{
	const int interrupt = dw_interrupt_fd();

	loop->alarm_source.ready = on_alarm;
	loop->interrupt_source.ready = on_interrupt;
	loop->patience = (uint64_t)timeout_ms * 1000000;
	loop->poller = epoll_create1(EPOLL_CLOEXEC);
	loop->alarm = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (loop->poller < 0 || loop->alarm < 0 || !loop_add(loop, loop->alarm, EPOLLIN, &loop->alarm_source) ||
		(interrupt >= 0 && !loop_add(loop, interrupt, EPOLLIN, &loop->interrupt_source)))
		return DW_E_NOMEM;
	return DW_OK;
}

void
loop_clear(struct loop *loop)
{
	(void)close(loop->alarm);
	(void)close(loop->poller);
}

bool
loop_add(struct loop *loop, int fd, uint32_t events, struct source *source)
{
	struct epoll_event event = { .events = events, .data.ptr = source };

	return epoll_ctl(loop->poller, EPOLL_CTL_ADD, fd, &event) == 0;
}

void
loop_change(struct loop *loop, int fd, uint32_t events, struct source *source)
{
	struct epoll_event event = { .events = events, .data.ptr = source };

	(void)epoll_ctl(loop->poller, EPOLL_CTL_MOD, fd, &event);
}

/* One that is set already and rings earlier is left: a turn too many costs less than setting it in each. */
static void
set_alarm(struct loop *loop, uint64_t at)
{
	const struct itimerspec when = { .it_value = { (time_t)(at / SECOND), (long)(at % SECOND) } };

	if (loop->alarm_at != 0 && loop->alarm_at <= at)
		return;
	loop->alarm_at = at;
	(void)timerfd_settime(loop->alarm, TFD_TIMER_ABSTIME, &when, NULL);
}

int
loop_run(struct loop *loop, uint64_t (*turn)(void *user, uint64_t now), void *user)
{
	static struct epoll_event events[EVENTS];

	loop->progress_at = now_ns();
	for (;;) {
		uint64_t now = now_ns(), next;
		int n;

		loop->wake_at = LOOP_IDLE;
		next = turn(user, now);
		if (loop->failed != DW_OK)
			return loop->failed;
		if (next == LOOP_DONE)
			return DW_OK;
		/* A schedule that pauses by itself is no lack of progress. */
		if (now > loop->progress_at + loop->patience && next == LOOP_IDLE)
			return DW_E_TIMEOUT;
		if (next == LOOP_IDLE)
			next = loop->progress_at + loop->patience + 1;
		next = next < loop->wake_at ? next : loop->wake_at;
		if (next > now)
			set_alarm(loop, next);
		n = epoll_wait(loop->poller, events, EVENTS, next > now && !loop->spin ? -1 : 0);
		if (n == 0)
			(void)sched_yield();
		for (int i = 0; i < n; i++) {
			struct source *source = events[i].data.ptr;

			source->ready(source, events[i].events);
		}
	}
}
