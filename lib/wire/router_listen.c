/* The addresses that a router listens on. A socket file has traps of its own: a second bind steals the path without a
 * word (so: flock), who may use it is its group and mode (set before anybody can connect), and it can be removed under
 * its listener (so: its number is noted).
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/paths.h"
#include "wire/router_parts.h"

static int
refuse_path(struct dw_fault *fault, const char *what, const char *path)
{
	return dw_fault_set(fault, errno == EACCES || errno == EPERM ? DW_E_PERMISSION : DW_E_CREATE, "bind", NULL,
		"cannot %s '%s': %s", what, path, strerror(errno));
}

/* Makes the directory, then holds PATH.lock for the life of the process: the only proof that the socket file is nobody
 * else's. The lock file stays, for removing it would race with the next hub. */
static int
lock_path(struct listener *listener, struct dw_fault *fault)
{
	char text[DW_PATH_SIZE];
	char *slash;
	int err;

	(void)snprintf(text, sizeof(text), "%s", listener->path);
	slash = strrchr(text, '/');
	if (slash != text) {
		*slash = '\0';
		err = dw_make_dirs(text, 0750, fault);
		if (err != DW_OK)
			return err;
	}
	(void)snprintf(text, sizeof(text), "%s.lock", listener->path);
	listener->lock = open(text, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0660);
	if (listener->lock < 0)
		return refuse_path(fault, "create", text);
	if (flock(listener->lock, LOCK_EX | LOCK_NB) != 0)
		return dw_fault_set(fault, DW_E_IN_USE, "bind", "a path of its own for each hub",
			"another hub is already listening on '%s'", listener->path);
	return DW_OK;
}

/* Before anybody can connect, for nobody listens yet. */
static int
give_to_group(const struct listener *listener, const char *name, struct dw_fault *fault)
{
	const struct group *group = getgrnam(name);

	if (group == NULL)
		return dw_fault_set(fault, DW_E_CONFIG, "bind", "a group of this system", "there is no group '%s'", name);
	if (chown(listener->path, (uid_t)-1, group->gr_gid) != 0)
		return dw_fault_set(fault, DW_E_PERMISSION, "bind", "a group that the hub's user is in",
			"cannot give '%s' to the group '%s': %s", listener->path, name, strerror(errno));
	return DW_OK;
}

static int
bind_path(
	struct listener *listener, const struct dw_bind *wanted, const struct dw_endpoint *endpoint, struct dw_fault *fault)
{
	struct stat file;
	mode_t mask;
	int failed;

	(void)unlink(listener->path); /* what a hub that was killed has left; the lock says that it is nobody's */
	mask = umask(0777 & ~(mode_t)wanted->mode);
	failed = bind(listener->fd, &endpoint->address.any, endpoint->size);
	(void)umask(mask);
	if (failed != 0)
		return refuse_path(fault, "listen on", listener->path);
	/* The file's number belongs to the socket for as long as that is open, also when the name is gone. */
	if (lstat(listener->path, &file) != 0)
		return dw_fault_set(
			fault, DW_E_CREATE, "bind", NULL, "cannot find '%s' again: %s", listener->path, strerror(errno));
	listener->device = file.st_dev;
	listener->inode = file.st_ino;
	return wanted->group != NULL ? give_to_group(listener, wanted->group, fault) : DW_OK;
}

static int
bind_port(struct listener *listener, const char *uri, const struct dw_endpoint *endpoint, struct dw_fault *fault)
{
	const int one = 1;

	(void)setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener->fd, &endpoint->address.any, endpoint->size) == 0)
		return DW_OK;
	if (errno == EADDRINUSE)
		return dw_fault_set(fault, DW_E_IN_USE, "bind", NULL, "'%s' is already in use", uri);
	return refuse_path(fault, "listen on", uri);
}

int
router_listen(struct dw_router *router, const struct dw_bind *wanted, struct dw_fault *fault)
{
	struct listener *listener = &router->listeners[router->listener_count];
	const char *path = dw_endpoint_path(wanted->uri);
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = listener };
	struct dw_endpoint endpoint;
	int err = dw_endpoint_read(wanted->uri, &endpoint, fault);

	if (err != DW_OK)
		return err;
	*listener =
		(struct listener) { .source = LISTENER, .fd = -1, .lock = -1, .tcp = path == NULL, .roles = wanted->roles };
	router->listener_count++;
	if (path != NULL) {
		(void)snprintf(listener->path, sizeof(listener->path), "%s", path);
		err = lock_path(listener, fault);
	}
	if (err != DW_OK)
		return err;
	listener->fd = socket(endpoint.address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener->fd < 0)
		return refuse_path(fault, "listen on", wanted->uri);
	err = path != NULL ? bind_path(listener, wanted, &endpoint, fault)
					   : bind_port(listener, wanted->uri, &endpoint, fault);
	if (err == DW_OK && listen(listener->fd, SOMAXCONN) != 0)
		err = refuse_path(fault, "listen on", wanted->uri);
	if (err == DW_OK && epoll_ctl(router->epoll, EPOLL_CTL_ADD, listener->fd, &event) != 0)
		err = DW_E_INTERNAL;
	return err;
}

/* Whether the path still leads to what was bound. */
static bool
is_in_place(const struct listener *listener)
{
	struct stat file;

	return lstat(listener->path, &file) == 0 && file.st_dev == listener->device && file.st_ino == listener->inode;
}

void
router_unlisten(struct listener *listener)
{
	if (listener->fd >= 0 && !listener->tcp && is_in_place(listener))
		(void)unlink(listener->path);
	if (listener->fd >= 0)
		(void)close(listener->fd);
	if (listener->lock >= 0)
		(void)close(listener->lock);
}

const char *
dw_router_lost(const struct dw_router *router)
{
	for (size_t i = 0; i < router->listener_count; i++) {
		const struct listener *listener = &router->listeners[i];
		struct stat file;

		if (listener->tcp || is_in_place(listener))
			continue;
		if (lstat(listener->path, &file) == 0 || errno == ENOENT || errno == ENOTDIR)
			return listener->path;
	}
	return NULL;
}
