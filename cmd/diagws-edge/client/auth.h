/* Tokens of a WebSocket: what the check of the first one says, and how they come in messages.
 *
 * The first one comes with the upgrade (ws.c) or, where that asked for auth=message, in the client's first message. A
 * later message with a token renews it: the same user's, with another end and other rooms in its claim.
 */
#ifndef AUTH_H
#define AUTH_H

#include "base/buf.h"
#include "door/check.h"

struct conn;
struct conn_request;

/* What the check of a first token means for its request. */
void auth_judge(struct conn_request *request, int err);
/* The same as a check_done, whose user is the request. */
check_done auth_checked;
/* The client has sent a token: its first, while the connection waits for that (CONN_AWAITING), or a fresh one. */
void auth_take(struct conn *conn, struct dw_str token);

#endif
