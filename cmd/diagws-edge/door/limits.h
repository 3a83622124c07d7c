/* Limits that people share: how often, and how many at once.
 *
 * What is done with a good token counts for its user; what has none or no good one (requests, tokens, handshakes,
 * connections) counts for its address. So the many who share a clinic's or a carrier's address are not in each other's
 * way, and whoever floods from there is bounded. The requests of services, whose tokens have the scope `publish`, are
 * not bounded. Unix sockets have no address: nothing counts for them.
 */
#ifndef LIMITS_H
#define LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "door/address.h"
#include "door/budget.h"
#include "token/auth.h"

struct check;
struct edge_config;

/* Who has something here now, and how much: a user by its name, or an address by its key. */
struct guest {
	struct dw_hash_link link;
	unsigned uses;
	unsigned connections;  /* a user's WebSockets; an address' connections without a good token */
	unsigned checks;       /* of signatures, under way, */
	unsigned length;       /* of its name */
	struct check *waiting; /* and those that wait for their end (check.c) */
	size_t bytes;          /* of HTTP bodies and answers under way */
	char name[];
};

/* The guest, who is there until guests_release was called as often. NULL: no memory. */
struct guest *guests_get(struct dw_hash *guests, struct dw_str name);
/* guest may be NULL. */
void guests_release(struct dw_hash *guests, struct guest *guest);

enum limit_budget { USER_HANDSHAKES, USER_REQUESTS, ADDRESS_HANDSHAKES, ADDRESS_REQUESTS, BAD_TOKENS, LIMIT_BUDGETS };

struct limits {
	struct budget budgets[LIMIT_BUDGETS];
	struct dw_hash sites;   /* addresses */
	unsigned strangers_max; /* 0: without bounds */
};

/* DW_E_NOMEM. */
int limits_init(struct limits *limits, const struct edge_config *config);
void limits_clear(struct limits *limits);

/* The next ones are DW_OK or DW_E_RATE. USER_HANDSHAKES: a WebSocket of a user, or a fresh token on one.
 * USER_REQUESTS: a message on one, of who is no service: it counts as a request, so that coming again, or on many at
 * once, gains nothing over what one connection may say. */
int limits_user(struct limits *limits, enum limit_budget budget, const char *user);
/* BAD_TOKENS: whose one was no good. */
int limits_address(struct limits *limits, enum limit_budget budget, const struct address *address);
/* An HTTP request, once its token has been checked, or as soon as it is sure that none will be; claims are NULL for one
 * without a good token. */
int limits_request(struct limits *limits, const struct address *address, const struct dw_claims *claims);
/* Whether the address may have a public key's signature checked: it has not spent its bad tokens. */
int limits_token(const struct limits *limits, const struct address *address);

/* The address among limits->sites, to be released. NULL: no memory. */
struct guest *limits_site(struct limits *limits, const struct address *address);
/* A WebSocket without a good token comes, and *site is where: DW_E_RATE, DW_E_NOMEM. When that is known, or when it
 * ends: limits_leave, to which NULL may be given. */
int limits_enter(struct limits *limits, const struct address *address, struct guest **site);
void limits_leave(struct limits *limits, struct guest **site);

#endif
