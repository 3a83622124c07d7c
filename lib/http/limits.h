/* Limits that people share: how often, and how many at once.
 *
 * What is done with a good token counts for its user; what has none or no good one (requests, tokens, handshakes,
 * connections) counts for its address. So the many who share a clinic's or a carrier's address are not in each other's
 * way, and whoever floods from there is bounded. The requests of services, whose tokens have the scope `publish`, are
 * not bounded. Unix sockets have no address: nothing counts for them.
 */
#ifndef DIAGWS_HTTP_LIMITS_H
#define DIAGWS_HTTP_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "http/address.h"
#include "http/budget.h"
#include "token/auth.h"

struct dw_http_check;

enum { DW_HTTP_DENY_MS = 50 }; /* refusals come no sooner: unknown and forbidden take the same time */

/* So many a second, of users and of addresses (USER_HANDSHAKES …), and of address_connections at a time; 0: any number.
 */
struct dw_http_bounds {
	int64_t user_handshakes, user_requests;
	int64_t address_handshakes, address_requests, bad_tokens;
	int64_t address_connections;
};

/* Who has something here now, and how much: a user by its name, or an address by its key. */
struct dw_http_guest {
	struct dw_hash_link link;
	unsigned uses;
	unsigned connections;          /* a user's WebSockets; an address' connections without a good token */
	unsigned checks;               /* of signatures, under way, */
	unsigned length;               /* of its name */
	struct dw_http_check *waiting; /* and those that wait for their end (check.c) */
	size_t bytes;                  /* of HTTP bodies and answers under way */
	char name[];
};

/* The guest, who is there until dw_http_guest_release was called as often. NULL: no memory. */
struct dw_http_guest *dw_http_guest_get(struct dw_hash *guests, struct dw_str name);
/* guest may be NULL. */
void dw_http_guest_release(struct dw_hash *guests, struct dw_http_guest *guest);

enum dw_http_limit {
	DW_HTTP_USER_HANDSHAKES,
	DW_HTTP_USER_REQUESTS,
	DW_HTTP_ADDRESS_HANDSHAKES,
	DW_HTTP_ADDRESS_REQUESTS,
	DW_HTTP_BAD_TOKENS,
	DW_HTTP_LIMITS
};

struct dw_http_limits {
	struct dw_http_budget budgets[DW_HTTP_LIMITS];
	struct dw_hash users;
	struct dw_hash sites;   /* addresses */
	unsigned strangers_max; /* 0: without bounds */
};

/* DW_E_NOMEM. */
int dw_http_limits_init(struct dw_http_limits *limits, const struct dw_http_bounds *bounds);
/* Everybody must have been released. */
void dw_http_limits_clear(struct dw_http_limits *limits);

/* The next ones are DW_OK or DW_E_RATE. DW_HTTP_USER_HANDSHAKES: a WebSocket of a user, or a fresh token on one.
 * DW_HTTP_USER_REQUESTS: a message on one, of who is no service: it counts as a request, so that coming again, or on
 * many at once, gains nothing over what one connection may say. */
int dw_http_limits_user(struct dw_http_limits *limits, enum dw_http_limit budget, const char *user);
/* DW_HTTP_BAD_TOKENS: whose one was no good. */
int dw_http_limits_address(
	struct dw_http_limits *limits, enum dw_http_limit budget, const struct dw_http_address *address);
/* An HTTP request, once its token has been checked, or as soon as it is sure that none will be; claims are NULL for one
 * without a good token. */
int dw_http_limits_request(
	struct dw_http_limits *limits, const struct dw_http_address *address, const struct dw_claims *claims);
/* Whether the address may have a public key's signature checked: it has not spent its bad tokens. */
int dw_http_limits_token(const struct dw_http_limits *limits, const struct dw_http_address *address);

/* The address among limits->sites, to be released. NULL: no memory. */
struct dw_http_guest *dw_http_limits_site(struct dw_http_limits *limits, const struct dw_http_address *address);
/* A WebSocket without a good token comes, and *site is where: DW_E_RATE, DW_E_NOMEM. When that is known, or when it
 * ends: dw_http_limits_leave, to which NULL may be given. */
int dw_http_limits_enter(
	struct dw_http_limits *limits, const struct dw_http_address *address, struct dw_http_guest **site);
void dw_http_limits_leave(struct dw_http_limits *limits, struct dw_http_guest **site);

#endif
