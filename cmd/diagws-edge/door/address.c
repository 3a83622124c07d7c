/* Addresses of clients, wherever they were read: from a socket or from a PROXY header.
 *
 * All of them are made by address_set, so that one client has one address, whichever way it came.
 */
#include "address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

void
address_set(struct address *address, enum address_family family, const void *bytes, const void *port)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	const uint8_t *at = bytes;
	uint16_t number = 0;

	*address = (struct address) { .family = ADDRESS_NONE };
	if (family == ADDRESS_NONE)
		return;
	if (family == ADDRESS_V6 && memcmp(at, mapped, sizeof(mapped)) == 0) {
		family = ADDRESS_V4;
		at += sizeof(mapped);
	}
	address->family = (uint16_t)family;
	memcpy(address->bytes, at, family == ADDRESS_V4 ? 4 : 16);
	memcpy(&number, port, sizeof(number));
	address->port = ntohs(number);
}

union name {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_storage room;
};

static void
take_name(const union name *name, struct address *out)
{
	if (name->any.sa_family == AF_INET)
		address_set(out, ADDRESS_V4, &name->v4.sin_addr, &name->v4.sin_port);
	else if (name->any.sa_family == AF_INET6)
		address_set(out, ADDRESS_V6, &name->v6.sin6_addr, &name->v6.sin6_port);
	else
		address_set(out, ADDRESS_NONE, NULL, NULL);
}

void
address_of_socket(int fd, struct address *out)
{
	union name name = { .any.sa_family = AF_UNSPEC };
	socklen_t size = sizeof(name);

	if (getpeername(fd, &name.any, &size) != 0)
		name.any.sa_family = AF_UNSPEC;
	take_name(&name, out);
}

int
address_accept(int listener, struct address *out)
{
	union name name = { .any.sa_family = AF_UNSPEC };
	socklen_t size = sizeof(name);
	const int fd = accept4(listener, &name.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0)
		take_name(&name, out);
	return fd;
}

void
address_text(const struct address *address, char out[ADDRESS_TEXT])
{
	char number[INET6_ADDRSTRLEN] = "";

	if (address->family == ADDRESS_NONE) {
		(void)snprintf(out, ADDRESS_TEXT, "unix");
		return;
	}
	(void)inet_ntop(
		address->family == ADDRESS_V4 ? AF_INET : AF_INET6, address->bytes, number, (socklen_t)sizeof(number));
	(void)snprintf(
		out, ADDRESS_TEXT, address->family == ADDRESS_V4 ? "%s:%u" : "[%s]:%u", number, (unsigned)address->port);
}

void
address_key(const struct address *address, uint8_t out[ADDRESS_KEY])
{
	out[0] = (uint8_t)address->family;
	memcpy(out + 1, address->bytes, ADDRESS_KEY - 1);
}
