/* The addresses that clients connect to. Our own listening sockets: that gives SO_REUSEPORT, a unix socket, and a
 * decent answer to a full descriptor table (accepting pauses).
 */
#ifndef DIAGWS_HTTP_LISTEN_H
#define DIAGWS_HTTP_LISTEN_H

#include <stdbool.h>

#include "base/err.h"

struct dw_http_address;
struct dw_http_listener;
struct dw_opt_list;
struct dw_wheel;
struct uv_loop_s;

/* Whether the text has the form of an address: ADDR:PORT, [ADDR]:PORT, unix:PATH and, where tls is not NULL,
 * wss://ADDR:PORT: *tls becomes true then. DW_E_CONFIG. */
int dw_http_listen_check(const char *text, bool *tls, struct dw_fault *fault);

struct dw_http_listen {
	struct uv_loop_s *loop;
	struct dw_wheel *wheel;
	bool tls; /* wss:// is understood */
	/* There is room for one more connection, or was made by ending one for whom nobody works; must: one has to end.
	 * false: all are in use. */
	bool (*make_room)(void *user, bool must);
	/* A new connection, for which there is room. */
	void (*take)(void *user, int fd, const struct dw_http_address *address, bool tls);
	void *user;
};

/* Binds every address (as dw_http_listen_check has them); `how` must live as long. DW_E_CONFIG, DW_E_IN_USE,
 * DW_E_CREATE, DW_E_PERMISSION. */
int dw_http_listen_open(struct dw_http_listener **out, const struct dw_opt_list *addresses,
	const struct dw_http_listen *how, struct dw_fault *fault);
/* No new connections from now on; *listeners may be NULL. */
void dw_http_listen_close(struct dw_http_listener **listeners);

#endif
