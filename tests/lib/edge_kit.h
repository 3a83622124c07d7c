/* An edge for tests: all of cmd/diagws-edge but its options, its sockets, libwebsockets, HTTP and the link to the hub.
 *
 *   edge_world.c  a client's kernel takes so many bytes and then stalls; a token is as good as the test says; what is
 *                 sent to the hub is noted
 *   edge_lws.c    libwebsockets says what a request and a piece of a message are
 *   edge_kit.c    who comes, what it says and hears; what the hub was asked, and what it answers; time
 *
 * The clock is a number, the wheel is turned by `pass`. A test includes this, says `edge` in its head (Makefile:
 * EDGE_KIT), and gives its plain tests to run_on_edges: each has an edge and a hub of its own.
 */
#ifndef EDGE_KIT_H
#define EDGE_KIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/subscription.h"
#include "client/conn.h"
#include "edge.h"
#include "plain_tests.h"
#include "room/rooms.h"
#include "turn.h"
#include "wire/wire.h"

enum { CLIENTS = 72, NEVER_STALLS = 1 << 30, WALL = 1000000000 };

struct client {
	struct conn *conn;           /* NULL: it has gone */
	struct dw_buf sent;          /* what its kernel took, */
	struct dw_buf kept;          /* and what it had no room for */
	size_t space;                /* of its kernel */
	size_t read;                 /* bytes of `sent` that the client has read */
	bool held;                   /* it is not read from */
	bool closing, cut, finished; /* server_close, server_cut, server_finish */
	bool dead;                   /* each write fails */
	unsigned pings;              /* that it has read, and */
	struct dw_buf ping;          /* the newest one's payload */
	struct dw_buf text;          /* what it heard last */
	unsigned close_code;         /* of the Close frame that it has read, or that libwebsockets was given */
	char close_reason[128];
};

extern struct edge edge;
extern uint64_t mono; /* dw_mono_ms */

/* ---- the world (edge_world.c) */

extern bool by_tls;
extern bool said_close;                /* what gate_linger was told last */
extern struct dw_http_address address; /* of all clients */

/* What the next token that is checked turns out to be. DW_E_AGAIN: that takes until check_ends. */
extern struct token {
	int err;
	const char *user, *device, *diagnoses; /* the claim: one room, or NULL */
	uint64_t expires;
	unsigned scope;
} token;
void check_ends(int err);
bool check_is_under_way(void);

/* Messages on their way, packed. */
struct notes {
	char bytes[1 << 18];
	size_t written, read;
};

extern struct hub {
	bool up;
	char epoch[DW_EPOCH_MAX + 1];
	struct notes asked, departed; /* in this order: uplink_send, uplink_depart */
	unsigned distrusted;
	uint64_t doubted; /* since when, last */
} hub;

void world_begin(void);
void world_end(void);
struct client *client_new(void);
struct client *client_get(struct lws *wsi);
struct client *client_at(size_t i); /* i < CLIENTS */
/* Its kernel takes so many bytes more. The edge is told when it takes again. */
void drain(struct client *client, size_t n);
/* So many bytes come in from its socket, as much of them as the edge reads at once; how many that is. */
size_t receives(struct client *client, size_t n);
/* The same, looked at and left there. */
size_t peeks(struct client *client, size_t n);
/* Somebody reads for it. */
bool is_weighed(const struct client *client);

/* ---- libwebsockets (edge_lws.c) */

/* What it knows of the request that is coming, by enum lws_token_indexes; NULL: it is not there. */
enum { HEADERS = 128 };
extern const char *headers[HEADERS];
extern struct dw_buf answered; /* in HTTP */

/* The piece of a message that is being received: what is left of its frame, and what that is. */
extern struct piece {
	size_t left;
	bool first, final, binary;
} piece;

void lws_begin(void);

/* ---- time */

void pass(uint64_t ms);

/* ---- who comes, what it says and hears */

/* /ws/ROOM?ARGUMENTS, by a user whose token says so. NULL: no. */
struct client *arrive(const char *room, const char *arguments, const char *user);
/* It has gone. */
void leaves(struct client *client);
/* One message, in one piece; or a piece of one. */
void says(struct client *client, const char *json);
void says_piece(struct client *client, const char *bytes, struct piece what);
/* The next message, PINGs and a Close being noted; NULL: there is none. It is valid until the next. */
const char *hears(struct client *client);
/* The next message is of this type, and has this in it. */
void assert_hears(struct client *client, const char *type, const char *part);
void assert_hears_nothing(struct client *client);
/* Whatever there is; how many messages. */
unsigned hears_all(struct client *client);
/* An `error` with this code about this field (NULL: none), whose words have this in them. */
void assert_refused(struct client *client, const char *code, const char *field, const char *words);
/* The edge ends it. */
void assert_closes(const struct client *client, unsigned code, const char *reason);
void assert_stays(const struct client *client);
/* The PONG to the newest PING that it has read. */
void pong(struct client *client);
struct subscription *watches(const struct client *client, const char *room);

/* ---- the hub */

/* The next that it was asked; it is of this kind, and its strings live as long as the test. */
struct dw_wire asked(enum dw_wire_kind kind);
void assert_asked_nothing(void);
struct dw_leave departed(void);
void assert_nobody_departed(void);
/* It says this, and the edge takes its turns. */
void said(const struct dw_wire *message);
/* Lets in whoever asked so, at this position, where the edge's stream stands, too. */
struct dw_joined an_answer(const struct dw_join *join, struct dw_position at);
void answer(struct dw_joined joined);
void refuse(const struct dw_join *join, int err);
/* One who has come, was let in after this message, and has heard its `connect`. */
struct client *enters(const char *room, const char *arguments, const char *user, struct dw_position at);
/* One more room of a connection. */
void subscribes(struct client *client, const char *room, struct dw_position at);

/* To everyone, for ever. */
struct dw_record a_record(uint64_t seq, uint64_t n);
/* MESSAGES of one record behind all that came, or of more. */
void bring(const char *room, struct dw_record record);
void bring_some(const char *room, uint64_t seq, uint64_t n, unsigned count);
/* One whose data has so many bytes. */
void bring_large(const char *room, uint64_t seq, uint64_t n, size_t size);
/* Packs records; they live until the next call. */
struct dw_str records_of(const struct dw_record *records, size_t count);
/* The answer to a READ: records are filled in, the rest is as it was given. */
void feed(const struct dw_read *read, struct dw_records answer, const struct dw_record *records, size_t count);
/* The hub goes; it comes back, of this epoch. */
void hub_goes(void);
void hub_comes(const char *epoch);

int run_on_edges(const struct plain_test *tests, size_t count);

static inline struct dw_position
at(uint64_t seq, uint64_t n)
{
	return dw_position_said(seq, n, 0);
}

static inline void
assert_position(struct dw_position is, uint64_t seq, uint64_t n, uint64_t own)
{
	assert_int_equal(dw_seq(is), seq);
	assert_int_equal(dw_n(is), n);
	assert_int_equal(dw_own(is), own);
}

static inline void
assert_text(struct dw_str is, const char *text)
{
	assert_true(dw_str_is(is, text));
}

#endif
