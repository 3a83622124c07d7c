/* Loopback ports for the edges of diagws up: finding one, and asking whether its edge is ready.
 *
 * Edges listen with SO_REUSEPORT, so two of one user can share a port without an error, each getting a part of the
 * clients. So a port is claimed by an abstract unix socket of its name, which two runs that look at the same moment
 * cannot both have; it lives in the port's network namespace and goes with the process.
 * Failure modes: no free port (0); an edge that does not answer within a second is not ready.
 */
#include "up.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static int
open_port(int port, bool to_listen)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int one = 1;

	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if ((to_listen ? bind(fd, (struct sockaddr *)&address, sizeof(address))
				   : connect(fd, (struct sockaddr *)&address, sizeof(address))) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

/* The descriptor that holds the claim, or -1. */
static int
claim(int port)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int n = snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "diagws-up-%d", port);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&address, size) == 0)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

int
claim_port(int from)
{
	for (int port = from; port <= 65535; port++) {
		int held = claim(port), fd;

		if (held < 0)
			continue;
		fd = open_port(port, true);
		if (fd >= 0) {
			(void)close(fd);
			return port;
		}
		(void)close(held);
	}
	return 0;
}

bool
is_ready(int port)
{
	static const char request[] = "GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
	const struct timeval patience = { .tv_sec = 1 };
	char answer[64] = "";
	int fd = open_port(port, false);
	bool ready;

	if (fd < 0)
		return false;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	ready = send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) > 0 && recv(fd, answer, sizeof(answer) - 1, 0) > 0 &&
			strncmp(answer, "HTTP/1.1 200", 12) == 0;
	(void)close(fd);
	return ready;
}
