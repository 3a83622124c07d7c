/* Addresses of clients, from a socket or from a PROXY header; one client has one address, whichever way it came.
 */
#include "address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/err.h"

void
dw_http_address_set(struct dw_http_address *address, enum dw_http_family family, const void *bytes, const void *port)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	const uint8_t *at = bytes;
	uint16_t number = 0;

	*address = (struct dw_http_address) { .family = DW_HTTP_ADDRESS_NONE };
	if (family == DW_HTTP_ADDRESS_NONE)
		return;
	if (family == DW_HTTP_ADDRESS_V6 && memcmp(at, mapped, sizeof(mapped)) == 0) {
		family = DW_HTTP_ADDRESS_V4;
		at += sizeof(mapped);
	}
	address->family = (uint16_t)family;
	memcpy(address->bytes, at, family == DW_HTTP_ADDRESS_V4 ? 4 : 16);
	memcpy(&number, port, sizeof(number));
	address->port = ntohs(number);
}

/* A PROXY header of version 2.
 *
 *   0          12         13         14      16        16 + length
 *   +----------+----------+----------+-------+---------+
 *   | "magic"  | version, | family,  | length| source, destination, their ports; extensions (TLV)
 *   |          | command  | protocol |       |
 *   +----------+----------+----------+-------+---------+
 *
 * The source's address and port are taken, all else is skipped. What no header begins with is told at its first byte,
 * so that a client that connects to the proxies' port is not waited for.
 */
enum { LOCAL = 0, PROXY = 1 };                     /* commands */
enum { UNSPEC = 0, TCP4 = 1, TCP6 = 2, UNIX = 3 }; /* families */
enum { STREAM = 1, DGRAM = 2 };                    /* protocols */
enum { VERSION = 2, AT_COMMAND = 12, AT_FAMILY = 13, AT_LENGTH = 14 };

static const uint8_t magic[AT_COMMAND] = "\r\n\r\n\0\r\nQUIT\n";
static const uint8_t sizes[] = { [UNSPEC] = 0, [TCP4] = 12, [TCP6] = 36, [UNIX] = 216 };

/* Whether some header has these n bytes as its fixed head, or as the beginning of it. */
static bool
begins_well(const uint8_t *head, size_t n)
{
	unsigned command, family, protocol;
	size_t length;

	if (memcmp(head, magic, n < sizeof(magic) ? n : sizeof(magic)) != 0)
		return false;
	if (n <= AT_COMMAND)
		return true;
	command = head[AT_COMMAND] & 0x0f;
	if (head[AT_COMMAND] >> 4 != VERSION || command > PROXY)
		return false;
	if (n <= AT_FAMILY)
		return true;
	family = head[AT_FAMILY] >> 4;
	protocol = head[AT_FAMILY] & 0x0f;
	if (command == PROXY && (family > UNIX || protocol > DGRAM))
		return false;
	if (n < DW_HTTP_PROXY_HEAD)
		return n <= AT_LENGTH || head[AT_LENGTH] <= (DW_HTTP_PROXY_MAX - DW_HTTP_PROXY_HEAD) >> 8;
	length = (size_t)head[AT_LENGTH] << 8 | head[AT_LENGTH + 1];
	return length <= DW_HTTP_PROXY_MAX - DW_HTTP_PROXY_HEAD && (command == LOCAL || length >= sizes[family]);
}

/* Addresses first, then the ports. */
static void
take_source(const uint8_t *block, unsigned family, struct dw_http_address *address)
{
	if (family == TCP4)
		dw_http_address_set(address, DW_HTTP_ADDRESS_V4, block, block + 8);
	else if (family == TCP6)
		dw_http_address_set(address, DW_HTTP_ADDRESS_V6, block, block + 32);
	else if (family == UNIX)
		dw_http_address_set(address, DW_HTTP_ADDRESS_NONE, NULL, NULL);
}

int
dw_http_proxy_read(const void *bytes, size_t n, size_t *used, struct dw_http_address *address)
{
	const uint8_t *head = bytes;
	size_t size;

	if (!begins_well(head, n))
		return DW_E_PROTOCOL;
	if (n < DW_HTTP_PROXY_HEAD)
		return DW_E_AGAIN;
	size = DW_HTTP_PROXY_HEAD + ((size_t)head[AT_LENGTH] << 8 | head[AT_LENGTH + 1]);
	if (n < size)
		return DW_E_AGAIN;
	if ((head[AT_COMMAND] & 0x0f) == PROXY && (head[AT_FAMILY] & 0x0f) == STREAM)
		take_source(head + DW_HTTP_PROXY_HEAD, head[AT_FAMILY] >> 4, address);
	*used = size;
	return DW_OK;
}

union name {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_storage room;
};

static void
take_name(const union name *name, struct dw_http_address *out)
{
	if (name->any.sa_family == AF_INET)
		dw_http_address_set(out, DW_HTTP_ADDRESS_V4, &name->v4.sin_addr, &name->v4.sin_port);
	else if (name->any.sa_family == AF_INET6)
		dw_http_address_set(out, DW_HTTP_ADDRESS_V6, &name->v6.sin6_addr, &name->v6.sin6_port);
	else
		dw_http_address_set(out, DW_HTTP_ADDRESS_NONE, NULL, NULL);
}

void
dw_http_address_of_socket(int fd, struct dw_http_address *out)
{
	union name name = { .any.sa_family = AF_UNSPEC };
	socklen_t size = sizeof(name);

	if (getpeername(fd, &name.any, &size) != 0)
		name.any.sa_family = AF_UNSPEC;
	take_name(&name, out);
}

int
dw_http_address_accept(int listener, struct dw_http_address *out)
{
	union name name = { .any.sa_family = AF_UNSPEC };
	socklen_t size = sizeof(name);
	const int fd = accept4(listener, &name.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0)
		take_name(&name, out);
	return fd;
}

void
dw_http_address_text(const struct dw_http_address *address, char out[DW_HTTP_ADDRESS_TEXT])
{
	char number[INET6_ADDRSTRLEN] = "";

	if (address->family == DW_HTTP_ADDRESS_NONE) {
		(void)snprintf(out, DW_HTTP_ADDRESS_TEXT, "unix");
		return;
	}
	(void)inet_ntop(
		address->family == DW_HTTP_ADDRESS_V4 ? AF_INET : AF_INET6, address->bytes, number, (socklen_t)sizeof(number));
	(void)snprintf(out, DW_HTTP_ADDRESS_TEXT, address->family == DW_HTTP_ADDRESS_V4 ? "%s:%u" : "[%s]:%u", number,
		(unsigned)address->port);
}

void
dw_http_address_key(const struct dw_http_address *address, uint8_t out[DW_HTTP_ADDRESS_KEY])
{
	out[0] = (uint8_t)address->family;
	memcpy(out + 1, address->bytes, DW_HTTP_ADDRESS_KEY - 1);
}
