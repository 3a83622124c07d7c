/* Loopback ports for the edges of diagws up. */
#ifndef PORTS_H
#define PORTS_H

#include <stdbool.h>

/* The next port from `from` on that nobody has, or 0. It stays claimed against other runs of
 * diagws up until this process ends. */
int claim_port(int from);
/* Whether an edge on this port says that it can serve. */
bool is_ready(int port);

#endif
