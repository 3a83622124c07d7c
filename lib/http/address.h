/* Who a client is by its network: what limits, the log and statistics go by.
 */
#ifndef DIAGWS_HTTP_ADDRESS_H
#define DIAGWS_HTTP_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DW_HTTP_ADDRESS_TEXT = 56, DW_HTTP_ADDRESS_KEY = 9 };

enum dw_http_family { DW_HTTP_ADDRESS_NONE, DW_HTTP_ADDRESS_V4, DW_HTTP_ADDRESS_V6 }; /* none: a unix socket */

struct dw_http_address {
	uint8_t bytes[16]; /* in network order; of IPv4 the first 4 */
	uint16_t port;
	uint16_t family; /* enum dw_http_family */
};

/* From the bytes (4 or 16) and the port of a packet or header, both in network order. An IPv4 address mapped into IPv6
 * is IPv4. */
void dw_http_address_set(
	struct dw_http_address *address, enum dw_http_family family, const void *bytes, const void *port);
/* The other end of a socket; none where it is not, or no longer, connected. */
void dw_http_address_of_socket(int fd, struct dw_http_address *out);
/* As accept4, and who it is. */
int dw_http_address_accept(int listener, struct dw_http_address *out);
/* "192.0.2.1:4711", "[2001:db8::1]:4711", "unix". */
void dw_http_address_text(const struct dw_http_address *address, char out[DW_HTTP_ADDRESS_TEXT]);
/* What counts as one place: an IPv4 address, an IPv6 network of 64 bits, all unix sockets together. */
void dw_http_address_key(const struct dw_http_address *address, uint8_t out[DW_HTTP_ADDRESS_KEY]);

/* The PROXY protocol, version 2 (doc/proxy-protocol.txt of HAProxy, 2.2): what a proxy in front says first about the
 * client behind a connection.
 */
enum { DW_HTTP_PROXY_HEAD = 16, DW_HTTP_PROXY_MAX = DW_HTTP_PROXY_HEAD + 512 };

/* Looks at the first n bytes of a connection. DW_OK: a whole header, *used bytes long; *address is the client's, and is
 * left as it was where the header names none (LOCAL: the proxy's own check; UNSPEC, or not a stream). DW_E_AGAIN: as
 * far as it goes, and more is needed; never with DW_HTTP_PROXY_MAX bytes. DW_E_PROTOCOL: no such header, or longer than
 * DW_HTTP_PROXY_MAX. */
int dw_http_proxy_read(const void *bytes, size_t n, size_t *used, struct dw_http_address *address);

#endif
