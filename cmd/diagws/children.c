/* The other commands: where they are, those that diagws up starts, and their watchdog.
 *
 * The watchdog is systemd's own protocol (sd_notify(3)): each child is given a datagram socket and a time, and says
 * from inside its loop that it is alive; the kernel tells whose word it is. Silence is counted in our own looks, LOOKS
 * to that time, so that nobody grows silent while we are stopped ourselves (^Z). A child that is stuck gets SIGABRT,
 * for a core dump, and a moment later SIGKILL; its successor has the same arguments.
 *
 * Failure modes: a child that ends by itself, and a successor that cannot be started, are told to the caller alike.
 * Invariant: no child outlives us (PR_SET_PDEATHSIG).
 */
#include "up.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"

enum {
	ARGUMENTS_MAX = 16,
	LOOKS = 16,
	IDLE_MS = 1000,       /* a look, where nobody is watched */
	BEGIN_MS = 90 * 1000, /* until its first word: a hub looks through its store */
	ABORT_MS = 1000,
	END_MS = 10000
};

struct child {
	pid_t pid; /* 0: ended */
	const char *name;
	const char *arguments[ARGUMENTS_MAX + 1];
	int64_t silent_ms; /* below 0: it has not begun to speak */
};

static struct child children[CHILDREN_MAX];
static size_t count;
static sigset_t child_mask;
static int64_t watchdog;
static int ear = -1;

void
own_folder(char out[FOLDER_SIZE])
{
	const ssize_t n = readlink("/proc/self/exe", out, FOLDER_SIZE - 1);
	char *slash;

	out[n > 0 ? n : 0] = '\0';
	slash = strrchr(out, '/');
	if (slash != NULL)
		*slash = '\0';
}

void
sibling_path(const char *name, char out[DW_PATH_SIZE])
{
	char folder[FOLDER_SIZE];

	own_folder(folder);
	(void)snprintf(out, DW_PATH_SIZE, "%s/diagws-%s", folder, name);
	if (access(out, X_OK) != 0)
		(void)snprintf(out, DW_PATH_SIZE, "diagws-%s", name);
}

static int
listen_to_children(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t size = sizeof(address);
	const int one = 1;
	char name[sizeof(address.sun_path) + 1], time[32];

	ear = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* Without a name given, the kernel finds an abstract one. */
	if (ear < 0 || bind(ear, (struct sockaddr *)&address, sizeof(address.sun_family)) != 0 ||
		setsockopt(ear, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) != 0 ||
		getsockname(ear, (struct sockaddr *)&address, &size) != 0)
		return DW_E_NOMEM;
	(void)snprintf(name, sizeof(name), "@%s", address.sun_path + 1);
	(void)snprintf(time, sizeof(time), "%lld", (long long)watchdog * 1000);
	return setenv("NOTIFY_SOCKET", name, 1) == 0 && setenv("WATCHDOG_USEC", time, 1) == 0 ? DW_OK : DW_E_NOMEM;
}

int
children_init(const sigset_t *mask, int64_t watchdog_ms)
{
	child_mask = *mask;
	watchdog = watchdog_ms;
	(void)unsetenv("NOTIFY_SOCKET");
	(void)unsetenv("WATCHDOG_USEC");
	(void)unsetenv("WATCHDOG_PID");
	return watchdog > 0 ? listen_to_children() : DW_OK;
}

/* Starts diagws-NAME; its standard output goes to out when that is not -1. */
static pid_t
start(const char *name, const char *const *arguments, int out)
{
	char path[DW_PATH_SIZE];
	pid_t parent = getpid(), pid;

	sibling_path(name, path);
	pid = fork();
	if (pid != 0)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(70);
	(void)sigprocmask(SIG_SETMASK, &child_mask, NULL);
	/* A terminal's ^C reaches us alone: we end the children in order. */
	(void)setpgid(0, 0);
	(void)dup2(out >= 0 ? out : STDERR_FILENO, STDOUT_FILENO);
	(void)execvp(path, (char *const *)(uintptr_t)arguments);
	fprintf(stderr, "diagws-up: cannot run '%s': %s\n", path, strerror(errno));
	_exit(69);
}

static bool
launch(struct child *child)
{
	child->pid = start(child->name, child->arguments, -1);
	child->silent_ms = -BEGIN_MS;
	return child->pid > 0;
}

static int
fail_start(const char *name)
{
	struct dw_fault fault = { 0 };

	(void)dw_fault_set(&fault, DW_E_NOMEM, NULL, NULL, "cannot start '%s': %s", name, strerror(errno));
	dw_fault_print(stderr, "diagws-up", DW_E_NOMEM, &fault, NULL);
	return DW_E_NOMEM;
}

int
children_start(const char *name, const char *const *arguments)
{
	struct child *child = &children[count];

	child->name = name;
	for (size_t i = 0; arguments[i] != NULL; i++) {
		child->arguments[i] = strdup(arguments[i]);
		if (child->arguments[i] == NULL)
			return fail_start(name);
	}
	if (!launch(child))
		return fail_start(name);
	count++;
	return DW_OK;
}

int
children_run(const char *name, const char *const *arguments, char *out, size_t size)
{
	int pipes[2], status = -1;
	size_t used = 0;
	ssize_t n;
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC) != 0)
		return fail_start(name);
	pid = start(name, arguments, pipes[1]);
	(void)close(pipes[1]);
	while (size > 0 && used + 1 < size && (n = read(pipes[0], out + used, size - used - 1)) > 0)
		used += (size_t)n;
	if (size > 0)
		out[used] = '\0';
	(void)close(pipes[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (pid < 0)
		return fail_start(name);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? DW_OK : DW_E_UNSUPPORTED;
}

int
children_pid(size_t place)
{
	return place < count ? (int)children[place].pid : 0;
}

const char *
children_find_dead(void)
{
	for (size_t i = 0; i < count; i++) {
		struct child *child = &children[i];

		if (child->pid < 0 || (child->pid > 0 && waitpid(child->pid, NULL, WNOHANG) == child->pid)) {
			child->pid = 0;
			return child->name;
		}
	}
	return NULL;
}

static void
await_end(struct child *child, uint64_t until)
{
	while (child->pid > 0 && waitpid(child->pid, NULL, WNOHANG) == 0) {
		if (dw_mono_ms() >= until)
			(void)kill(child->pid, SIGKILL);
		(void)poll(NULL, 0, 5);
	}
	child->pid = 0;
}

static void
hear_all(void)
{
	char text[64];
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct iovec part = { text, sizeof(text) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control };

	while (message.msg_controllen = sizeof(control), recvmsg(ear, &message, MSG_CMSG_CLOEXEC) >= 0) {
		const struct cmsghdr *head = CMSG_FIRSTHDR(&message);
		struct ucred sender;

		if (head == NULL || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_CREDENTIALS)
			continue;
		memcpy(&sender, CMSG_DATA(head), sizeof(sender));
		for (size_t i = 0; i < count; i++)
			if (children[i].pid == sender.pid)
				children[i].silent_ms = 0;
	}
}

/* One that is stopped acts on a signal when it is continued. */
static void
send_signal(const struct child *child, int number)
{
	if (child->pid <= 0)
		return;
	(void)kill(child->pid, number);
	(void)kill(child->pid, SIGCONT);
}

static bool
replace(struct child *child)
{
	const int old = (int)child->pid;

	send_signal(child, SIGABRT);
	await_end(child, dw_mono_ms() + ABORT_MS);
	if (!launch(child))
		return false;
	fprintf(stderr, "diagws-up: diagws-%s (pid %d) was stuck for %g s; ended it and started another (pid %d)\n",
		child->name, old, (double)watchdog / 1000, (int)child->pid);
	return true;
}

/* After a look of so long; false: one could not be replaced. */
static bool
replace_silent(int64_t look_ms)
{
	for (size_t i = 0; i < count; i++) {
		children[i].silent_ms += look_ms;
		if (children[i].pid > 0 && children[i].silent_ms > watchdog && !replace(&children[i]))
			return false;
	}
	return true;
}

int
children_watch(const sigset_t *signals)
{
	const int64_t look_ms = watchdog > 0 ? watchdog / LOOKS : IDLE_MS;
	const struct timespec look = { (time_t)(look_ms / 1000), (long)(look_ms % 1000 * 1000000) };
	int number;

	while ((number = sigtimedwait(signals, NULL, &look)) < 0) {
		const bool whole = errno == EAGAIN;

		hear_all();
		if (whole && watchdog > 0 && !replace_silent(look_ms))
			return SIGCHLD;
	}
	return number;
}

void
children_end(void)
{
	const uint64_t until = dw_mono_ms() + END_MS;

	for (size_t i = 1; i < count; i++)
		send_signal(&children[i], SIGTERM);
	for (size_t i = 1; i < count; i++)
		await_end(&children[i], until);
	send_signal(&children[0], SIGTERM);
	await_end(&children[0], dw_mono_ms() + END_MS);
}
