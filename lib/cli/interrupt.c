/* The first SIGINT as a descriptor, and closed standard streams. Its own file because it is the commands' only use of
 * signals: no handler runs, so there is no moment between looking and waiting in which one could be lost.
 *
 * SIGINT is blocked and read from a signalfd(2). When it came it is unblocked, so that a second one ends
 * the process. Failure mode: no signalfd; then SIGINT is left as it is.
 */
#include "cli/interrupt.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <unistd.h>

static int descriptor = -1;
static bool came;

void
dw_hold_streams(void)
{
	/* The lowest number that is free is given: with these open, it is not one of theirs. */
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0)
			(void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
	}
}

int
dw_interrupt_fd(void)
{
	struct sigaction now;
	sigset_t set;

	if (sigaction(SIGINT, NULL, &now) != 0 || now.sa_handler == SIG_IGN)
		return -1;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	descriptor = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (descriptor >= 0)
		(void)sigprocmask(SIG_BLOCK, &set, NULL);
	return descriptor;
}

bool
dw_interrupted(void)
{
	struct signalfd_siginfo info;
	sigset_t set;

	if (descriptor < 0 || read(descriptor, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return came;
	came = true;
	(void)close(descriptor);
	descriptor = -1;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	return came;
}

bool
dw_interrupt_wait(int input, int other, int timeout_ms)
{
	struct pollfd set[3] = {
		{ .fd = input, .events = POLLIN },
		{ .fd = other, .events = POLLIN },
		{ .fd = descriptor, .events = POLLIN },
	};

	return poll(set, 3, timeout_ms) > 0 && set[0].revents != 0;
}
