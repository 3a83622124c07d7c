/* One handler a message, each in the file of its name. The peer has said HELLO (but for on_hello). */
#ifndef DIAGWS_HUB_HANDLERS_H
#define DIAGWS_HUB_HANDLERS_H

#include "request.h"

struct hub;
struct peer;

void on_hello(struct hub *hub, struct peer *peer, struct request *request);
void on_ping(struct hub *hub, struct peer *peer, struct request *request);
void on_bye(struct hub *hub, struct peer *peer, struct request *request);
void on_publish(struct hub *hub, struct peer *peer, struct request *request);
void on_join(struct hub *hub, struct peer *peer, struct request *request);
void on_leave(struct hub *hub, struct peer *peer, struct request *request);
void on_confirm(struct hub *hub, struct peer *peer, struct request *request);
void on_credit(struct hub *hub, struct peer *peer, struct request *request);
void on_read(struct hub *hub, struct peer *peer, struct request *request);
void on_stat(struct hub *hub, struct peer *peer, struct request *request);
void on_own(struct hub *hub, struct peer *peer, struct request *request);

#endif
