/* One hub and its edges in one process, with a network and clocks that are ours.
 *
 * The hub is cmd/diagws-hub and the edges are cmd/diagws-edge as they are built, but for what touches the world: their
 * main loops, the ZeroMQ socket (lib/wire/bus.c), the clocks, the store thread, libwebsockets and libuv. These are
 * replaced here at link time, so what is tested is what runs, in any order of events and in no time.
 *
 *   sim_net.c    time, the bus between edges, senders and hub, and as much of libuv as an edge's link to its hub needs
 *   sim_hub.c    a hub's life: starts, takes a turn, writes cursors, dies
 *   sim_edge.c   an edge's life, and its clients: what they are sent, which PINGs they answer, whether they read
 *   sim_poll.c   polls of an edge
 *   harness.c    the commands on standard input (see there), one world after another
 */
#ifndef SIM_H
#define SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum { SIM_EDGES = 4, SIM_NAME = 32, SIM_SENDER = 1 };

/* ---- sim_net.c */

extern uint64_t sim_wall, sim_mono; /* ms */
void sim_seed(uint64_t seed);

/* Lines between the hub and its peers, by number: 0 to SIM_EDGES - 1 for edges, then the sender's. */
enum { LINE_SENDER = SIM_EDGES, LINES };
/* A line that is up carries frames; one that is cut loses what is on its way to the hub. Each time it comes up the hub
 * sees a peer it does not know. */
void line_up(int line);
void line_cut(int line);
void line_forget(int line); /* and all that is on its way to the peer */
bool lines_busy(void);      /* something is on its way to the hub */
bool line_busy(int line);   /* or to this peer */
uint32_t line_peer(int line);
void line_say(int line, const void *frame, size_t n);    /* to the hub */
bool line_hear(int line, struct dw_buf *frame);          /* from the hub */
void line_inject(int line, const void *frame, size_t n); /* as if the hub had said it */

/* The bus that the next dw_bus_connect is for, and the libuv handles that the next ones belong to. */
void sim_attach(int line);
void sim_tick(int line); /* the timer of the link to the hub */
bool sim_pump(int line); /* takes what has come; false: there was nothing to do */
void sim_detach(int line);

/* ---- sim_hub.c */

struct sim_config {
	char dir[256]; /* for LMDB */
	bool lmdb, either, evict;
	uint64_t limit, ttl_ms, cursor_ttl_ms, ids, id_window_ms;
};

bool hub_up(void);
bool hub_start(const struct sim_config *config); /* false: it said why */
bool hub_turn(void);                             /* false: there was nothing to do */
void hub_tick(void);                             /* a second has passed */
void hub_write(void);                            /* cursors */
void hub_sweep(void);
void hub_rest(void);
void hub_stop(void); /* in good order */
void hub_crash(void);
void hub_end(void); /* the store of a memory engine goes too */
bool hub_knows(uint32_t peer);
void hub_lose(uint32_t peer); /* it finds out that this one takes nothing any more */
const char *hub_epoch(void);
uint64_t hub_head(void);

/* ---- sim_edge.c */

struct client;

void edge_start(int edge);
void edge_kill(int edge);
struct edge *edge_get(int edge);
void edge_timers(int edge); /* what is due */
void edge_settle(int edge); /* closes what is to be closed; refusals that wait for a moment come at once */
struct client *client_find(const char *name);
int client_edge(const struct client *client);
uint64_t client_session(const struct client *client);
struct sim_from {
	bool has_after, after_new;
	uint64_t after;
	char epoch[33];
};
void client_open(const char *name, int edge, const char *room, const char *user, const char *device,
	const struct sim_from *from, bool derived, bool sure, bool claimed, uint64_t expires);
void client_close(struct client *client);
void client_say(struct client *client, const char *json);
/* It has subscribed, and so its newest PING is the one that counts. */
bool client_many(const struct client *client);
/* Answers the newest PING that it has read, or the first behind the update with this seq; false: there is none. */
bool client_pong(struct client *client, uint64_t seq);
void client_freeze(struct client *client);
void client_thaw(struct client *client);
bool client_frozen(const struct client *client);
void clients_heard(void); /* none is silent */
/* Long texts are not printed. */
void print_text(const char *p, size_t n);

/* ---- sim_poll.c */

enum { SIM_WAIT_S = 30 };

struct edge;

/* One with a name waits for the next message, for SIM_WAIT_S at most. */
void edge_poll(int edge, const char *name, const char *room, const char *user, const struct sim_from *from,
	uint64_t limit, bool claimed);
bool poll_waits(const char *name);
void polls_settle(void);                 /* those that were answered go */
void polls_end(const struct edge *edge); /* as their clients do */
uint64_t poll_last(void);                /* where the last one ended that did not wait, */
void poll_forget(void);                  /* and that there was one */

#endif
