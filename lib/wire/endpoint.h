/* Addresses of a hub: `ipc:///absolute/path`, or `tcp://` on loopback (127.x.y.z, [::1] or localhost, with a port):
 * plain tcp beyond it is refused.
 */
#ifndef DIAGWS_ENDPOINT_H
#define DIAGWS_ENDPOINT_H

#include <sys/socket.h>
#include <sys/un.h>

#include "base/err.h"

/* DW_E_CONFIG: what is wrong with it, and what is allowed. */
int dw_endpoint_check(const char *uri, struct dw_fault *fault);
/* The path of an ipc address; NULL: it is another. */
const char *dw_endpoint_path(const char *uri);

struct dw_endpoint {
	union {
		struct sockaddr any;
		struct sockaddr_un path;
		struct sockaddr_storage storage;
	} address;
	socklen_t size;
};
/* As the system takes it; the URI is checked first. DW_E_CONFIG also: no such host or port. */
int dw_endpoint_read(const char *uri, struct dw_endpoint *endpoint, struct dw_fault *fault);

#endif
