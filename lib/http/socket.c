/* A client's socket. Its own file because <linux/tcp.h>, which alone says how much was acknowledged, does not go
 * together with <netinet/tcp.h>, which libwebsockets includes.
 *
 * Messages wait in rings, not in the kernel: a client that does not read holds SEND_BUFFER there at most (which
 * the kernel doubles, for its own overhead), and TCP takes no more than UNSENT beyond what is under way.
 */
#include "socket.h"

#include <errno.h>
#include <limits.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { SEND_BUFFER = 64 * 1024, UNSENT = 16 * 1024, DISCARD_AT_ONCE = 16 };

void
dw_http_socket_prepare(int fd, bool tcp)
{
	const int one = 1, bytes = SEND_BUFFER, unsent = UNSENT;

	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	if (!tcp)
		return;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
}

void
dw_http_socket_cork(int fd, bool cork)
{
	const int on = cork;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
}

uint64_t
dw_http_socket_taken(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);
	int queued = 0;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0)
		return info.tcpi_bytes_acked;
	(void)ioctl(fd, SIOCOUTQ, &queued);
	return (uint64_t)queued;
}

bool
dw_http_socket_owes(int fd)
{
	int queued = 0;

	return ioctl(fd, SIOCOUTQ, &queued) == 0 && queued > 0;
}

void
dw_http_socket_widen(int fd)
{
	const int bytes = INT_MAX / 2, unsent = INT_MAX; /* the kernel makes of it what its limits allow */

	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
}

bool
dw_http_socket_discard(int fd)
{
	char bytes[16 * 1024];
	ssize_t n = 1;

	for (int i = 0; n > 0 && i < DISCARD_AT_ONCE; i++)
		n = recvfrom(
			fd, bytes, sizeof(bytes), MSG_DONTWAIT, NULL, NULL); /* recv would take it for requests (receive.h) */
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

bool
dw_http_socket_ended(int fd)
{
	char byte;
	const ssize_t n = recv(fd, &byte, sizeof(byte), MSG_DONTWAIT | MSG_PEEK);

	return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

void
dw_http_socket_cut(int fd)
{
	const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

	if (dw_http_socket_owes(fd))
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	(void)shutdown(fd, SHUT_RDWR);
}
