/* The PROXY protocol, version 2: what a proxy in front says first about the client behind a connection.
 * Source: doc/proxy-protocol.txt of HAProxy, 2.2.
 */
#ifndef PROXY_H
#define PROXY_H

#include <stddef.h>

#include "door/address.h"

enum { PROXY_HEAD = 16, PROXY_MAX = PROXY_HEAD + 512 };

/* Looks at the first n bytes of a connection. DW_OK: a whole header, *used bytes long; *address is the client's, and is
 * left as it was where the header names none (LOCAL: the proxy's own check; UNSPEC, or not a stream). DW_E_AGAIN: as
 * far as it goes, and more is needed; never with PROXY_MAX bytes. DW_E_PROTOCOL: no such header, or longer than
 * PROXY_MAX. */
int proxy_read(const void *bytes, size_t n, size_t *used, struct address *address);

#endif
