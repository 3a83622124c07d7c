/* What a client says on its WebSocket.
 */
#ifndef COMMAND_H
#define COMMAND_H

struct conn;
struct incoming;

/* A whole message. */
void conn_text(struct conn *conn, const struct incoming *rx);

#endif
