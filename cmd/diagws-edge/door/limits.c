/* Limits that people share. Its own file because both sides of the door (WebSockets, HTTP) and the checks of tokens
 * ask.
 *
 * Two kinds: budgets (so many a second, budget.h), and sites, which count what is here now and are there only while
 * something is. Failure modes: no memory for a site; a budget that is spent. Invariant: who has a good token is
 * refused for its address only where that has spent its bad tokens and this one's check would cost as much.
 */
#include "limits.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "edge.h"

_Static_assert(offsetof(struct site, link) == 0, "a site is its link");

int
limits_init(struct limits *limits, const struct edge_config *config)
{
	const struct {
		struct budget *budget;
		int64_t per_second;
	} budgets[] = {
		{ &limits->user_handshakes, config->max_user_handshakes },
		{ &limits->user_requests, config->max_user_requests },
		{ &limits->address_handshakes, config->max_address_handshakes },
		{ &limits->address_requests, config->max_address_requests },
		{ &limits->bad_tokens, config->max_bad_tokens },
	};
	const uint64_t secret[2] = { dw_random(), dw_random() };

	*limits = (struct limits) { .strangers_max = (unsigned)config->max_address_connections };
	for (size_t i = 0; i < sizeof(budgets) / sizeof(budgets[0]); i++) {
		if (budget_init(budgets[i].budget, (uint64_t)budgets[i].per_second, secret) != DW_OK) {
			limits_clear(limits);
			return DW_E_NOMEM;
		}
	}
	return DW_OK;
}

void
limits_clear(struct limits *limits)
{
	budget_clear(&limits->user_handshakes);
	budget_clear(&limits->user_requests);
	budget_clear(&limits->address_handshakes);
	budget_clear(&limits->address_requests);
	budget_clear(&limits->bad_tokens);
}

static int
take_user(struct budget *budget, const char *user)
{
	return budget_take(budget, dw_str(user), dw_mono_ms()) ? DW_OK : DW_E_RATE;
}

static int
take_address(struct budget *budget, const struct address *address)
{
	uint8_t key[ADDRESS_KEY];

	if (address->family == ADDRESS_NONE)
		return DW_OK;
	address_key(address, key);
	return budget_take(budget, dw_bytes(key, sizeof(key)), dw_mono_ms()) ? DW_OK : DW_E_RATE;
}

int
limits_handshake(struct limits *limits, const char *user)
{
	return take_user(&limits->user_handshakes, user);
}

int
limits_stranger(struct limits *limits, const struct address *address)
{
	return take_address(&limits->address_handshakes, address);
}

int
limits_request(struct limits *limits, const struct address *address, const struct dw_claims *claims)
{
	if (claims == NULL)
		return take_address(&limits->address_requests, address);
	return (claims->scope & DW_SCOPE_PUBLISH) != 0 ? DW_OK : take_user(&limits->user_requests, claims->user);
}

int
limits_message(struct limits *limits, const char *user)
{
	return take_user(&limits->user_requests, user);
}

int
limits_token(const struct limits *limits, const struct address *address)
{
	uint8_t key[ADDRESS_KEY];

	if (address->family == ADDRESS_NONE)
		return DW_OK;
	address_key(address, key);
	return budget_has(&limits->bad_tokens, dw_bytes(key, sizeof(key)), dw_mono_ms()) ? DW_OK : DW_E_RATE;
}

void
limits_bad_token(struct limits *limits, const struct address *address)
{
	(void)take_address(&limits->bad_tokens, address);
}

static uint32_t
site_hash(const struct dw_hash_link *link)
{
	const struct site *site = (const struct site *)(const void *)link;

	return dw_hash_of(dw_bytes(site->key, sizeof(site->key)));
}

struct site *
limits_site(struct limits *limits, const struct address *address)
{
	uint8_t key[ADDRESS_KEY];
	struct dw_hash_link *link;
	struct site *site;

	address_key(address, key);
	link = dw_hash_chain(&limits->sites, dw_hash_of(dw_bytes(key, sizeof(key))));
	for (; link != NULL; link = link->next) {
		site = (struct site *)(void *)link;
		if (memcmp(site->key, key, sizeof(key)) == 0) {
			site->uses++;
			return site;
		}
	}
	site = dw_hash_reserve(&limits->sites, site_hash) ? calloc(1, sizeof(*site)) : NULL;
	if (site == NULL)
		return NULL;
	memcpy(site->key, key, sizeof(key));
	site->uses = 1;
	dw_hash_add(&limits->sites, &site->link, site_hash(&site->link));
	return site;
}

void
limits_release(struct limits *limits, struct site *site)
{
	if (--site->uses > 0)
		return;
	dw_hash_remove(&limits->sites, &site->link, site_hash(&site->link));
	free(site);
}

int
limits_enter(struct limits *limits, const struct address *address, struct site **out)
{
	struct site *site = limits_site(limits, address);

	if (site == NULL)
		return DW_E_NOMEM;
	if (limits->strangers_max > 0 && address->family != ADDRESS_NONE && site->strangers >= limits->strangers_max) {
		limits_release(limits, site);
		return DW_E_RATE;
	}
	site->strangers++;
	*out = site;
	return DW_OK;
}

void
limits_leave(struct limits *limits, struct site **site_p)
{
	struct site *site = *site_p;

	if (site == NULL)
		return;
	*site_p = NULL;
	site->strangers--;
	limits_release(limits, site);
}
