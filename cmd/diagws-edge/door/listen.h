/* The addresses that clients connect to. Our own listening sockets: that gives SO_REUSEPORT, a unix socket, and a
 * decent answer to a full descriptor table (accepting pauses).
 */
#ifndef LISTEN_H
#define LISTEN_H

#include <stdbool.h>

#include "base/err.h"

struct edge;
struct listener;

/* Whether the text has the form of an address: ADDR:PORT, [ADDR]:PORT, unix:PATH, wss://ADDR:PORT. *tls becomes
 * true where it is the last. DW_E_CONFIG. */
int listen_check(const char *text, bool *tls, struct dw_fault *fault);
/* There is room for one more connection, or was made by ending one for whom nobody works; must: one has to end. false:
 * all are in use. */
typedef bool listen_room(struct edge *edge, bool must);

/* Binds every --listen address; what is accepted goes to the gate, or, where it is TLS, to libwebsockets. DW_E_CONFIG,
 * DW_E_IN_USE, DW_E_CREATE, DW_E_PERMISSION. */
int listen_open(struct listener **out, struct edge *edge, listen_room *make_room, struct dw_fault *fault);
/* No new connections from now on; *listeners may be NULL. */
void listen_close(struct listener **listeners);

#endif
