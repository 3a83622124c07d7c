/* Addresses of a hub: the one place that knows which there are (endpoint.h). */
#include "wire/endpoint.h"

#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char ipc_prefix[] = "ipc://";
static const char tcp_prefix[] = "tcp://";

enum { HOST_SIZE = 64 };

static bool
has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

const char *
dw_endpoint_path(const char *uri)
{
	return has_prefix(uri, ipc_prefix) ? uri + strlen(ipc_prefix) : NULL;
}

static int
check_path(const char *path, struct dw_fault *fault)
{
	const size_t most = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;

	if (path[0] != '/')
		return dw_fault_set(
			fault, DW_E_CONFIG, "endpoint", "ipc:///absolute/path", "'ipc://%s' has no absolute path", path);
	if (strlen(path) > most)
		return dw_fault_set(fault, DW_E_CONFIG, "endpoint", "a shorter path",
			"the socket path has %zu bytes; the system allows %zu", strlen(path), most);
	return DW_OK;
}

static bool
is_loopback(const char *uri)
{
	return has_prefix(uri, "tcp://127.") || has_prefix(uri, "tcp://[::1]:") || has_prefix(uri, "tcp://localhost:");
}

int
dw_endpoint_check(const char *uri, struct dw_fault *fault)
{
	if (dw_endpoint_path(uri) != NULL)
		return check_path(dw_endpoint_path(uri), fault);
	if (!has_prefix(uri, tcp_prefix))
		return dw_fault_set(
			fault, DW_E_CONFIG, "endpoint", "ipc:///path or tcp://127.0.0.1:port", "'%s' is no endpoint", uri);
	if (!is_loopback(uri))
		return dw_fault_set(fault, DW_E_CONFIG, "endpoint", "tcp://127.0.0.1:port, tcp://[::1]:port or ipc:///path",
			"'%s' is not on loopback: plain tcp is refused there", uri);
	return DW_OK;
}

/* Host and port of a loopback address, without the brackets of an IPv6 one. */
static bool
split(const char *uri, char host[HOST_SIZE], const char **port)
{
	const char *from = uri + strlen(tcp_prefix), *colon = strrchr(from, ':');
	size_t n = colon != NULL ? (size_t)(colon - from) : 0;

	if (n > 1 && from[0] == '[' && from[n - 1] == ']') {
		from++;
		n -= 2;
	}
	if (n == 0 || n >= HOST_SIZE)
		return false;
	memcpy(host, from, n);
	host[n] = '\0';
	*port = colon + 1;
	return strspn(*port, "0123456789") == strlen(*port) && strlen(*port) <= 5 && strtol(*port, NULL, 10) >= 1 &&
		   strtol(*port, NULL, 10) <= UINT16_MAX;
}

static int
read_tcp(const char *uri, struct dw_endpoint *endpoint, struct dw_fault *fault)
{
	const bool named = has_prefix(uri, "tcp://localhost:");
	const struct addrinfo wanted = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV | (named ? 0 : AI_NUMERICHOST),
		.ai_family = named ? AF_INET : AF_UNSPEC };
	struct addrinfo *found = NULL;
	const char *port = NULL;
	char host[HOST_SIZE];

	if (!split(uri, host, &port) || getaddrinfo(named ? "127.0.0.1" : host, port, &wanted, &found) != 0)
		return dw_fault_set(fault, DW_E_CONFIG, "endpoint", "tcp://127.0.0.1:port, with a port from 1 to 65535",
			"'%s' is no address", uri);
	memcpy(&endpoint->address, found->ai_addr, found->ai_addrlen);
	endpoint->size = found->ai_addrlen;
	freeaddrinfo(found);
	return DW_OK;
}

int
dw_endpoint_read(const char *uri, struct dw_endpoint *endpoint, struct dw_fault *fault)
{
	const char *path = dw_endpoint_path(uri);
	int err = dw_endpoint_check(uri, fault);

	memset(endpoint, 0, sizeof(*endpoint));
	if (err != DW_OK || path == NULL)
		return err != DW_OK ? err : read_tcp(uri, endpoint, fault);
	endpoint->address.path.sun_family = AF_UNIX;
	(void)snprintf(endpoint->address.path.sun_path, sizeof(endpoint->address.path.sun_path), "%s", path);
	endpoint->size = sizeof(endpoint->address.path);
	return DW_OK;
}
