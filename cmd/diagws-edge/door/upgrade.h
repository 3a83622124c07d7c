/* The upgrade of a connection to WebSocket: whether a request asks for one, what speaks against it, and its head
 * written anew for libwebsockets, which so never reads a stranger's headers. Pure.
 */
#ifndef UPGRADE_H
#define UPGRADE_H

#include "http/head.h"

/* Whether it asks for a WebSocket: a GET of /ws/{diagnosis_id} with `Upgrade: websocket`. /ws/messages/… never does.
 * *fault: DW_HEAD_OK, or why it cannot be; origins: of --origin. */
bool upgrade_asked(const struct dw_http_head *head, const struct dw_opt_list *origins, enum dw_http_fault *fault);
/* Appends the head that libwebsockets is given: the diagnosis (or what cannot be one) and the key. Who wants to know
 * more of the request asks server_head. */
void upgrade_write(const struct dw_http_head *head, struct dw_buf *out);
/* The token in an `Authorization: Bearer`, or behind `diagws` in the subprotocols; n 0: neither. An Authorization of
 * another kind is for a proxy in front. */
struct dw_str upgrade_token(const struct dw_http_head *head);

#endif
