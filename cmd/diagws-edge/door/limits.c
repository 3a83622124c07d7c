/* Limits that people share: budgets (so many a second, budget.h), and guests, who count what is here now and are there
 * only while something is. Failure modes: no memory for a guest; a budget that is spent. Invariant: a good token is
 * refused because of others at its address only where these have spent its bad tokens and its own signature has not
 * been checked before.
 */
#include "limits.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "edge.h"

_Static_assert(offsetof(struct guest, link) == 0, "a guest is its link");

static uint32_t
guest_hash(const struct dw_hash_link *link)
{
	const struct guest *guest = (const struct guest *)(const void *)link;

	return dw_hash_of(dw_bytes(guest->name, guest->length));
}

struct guest *
guests_get(struct dw_hash *guests, struct dw_str name)
{
	struct dw_hash_link *link = dw_hash_chain(guests, dw_hash_of(name));
	struct guest *guest;

	for (; link != NULL; link = link->next) {
		guest = (struct guest *)(void *)link;
		if (guest->length == name.n && memcmp(guest->name, name.p, name.n) == 0) {
			guest->uses++;
			return guest;
		}
	}
	guest = dw_hash_reserve(guests, guest_hash) ? calloc(1, sizeof(*guest) + name.n + 1) : NULL;
	if (guest == NULL)
		return NULL;
	memcpy(guest->name, name.p, name.n);
	guest->length = (unsigned)name.n;
	guest->uses = 1;
	dw_hash_add(guests, &guest->link, guest_hash(&guest->link));
	return guest;
}

void
guests_release(struct dw_hash *guests, struct guest *guest)
{
	if (guest == NULL || --guest->uses > 0)
		return;
	dw_hash_remove(guests, &guest->link, guest_hash(&guest->link));
	free(guest);
}

int
limits_init(struct limits *limits, const struct edge_config *config)
{
	const int64_t per_second[LIMIT_BUDGETS] = {
		[USER_HANDSHAKES] = config->max_user_handshakes,
		[USER_REQUESTS] = config->max_user_requests,
		[ADDRESS_HANDSHAKES] = config->max_address_handshakes,
		[ADDRESS_REQUESTS] = config->max_address_requests,
		[BAD_TOKENS] = config->max_bad_tokens,
	};
	const uint64_t secret[2] = { dw_random(), dw_random() };

	*limits = (struct limits) { .strangers_max = (unsigned)config->max_address_connections };
	for (size_t i = 0; i < LIMIT_BUDGETS; i++) {
		if (budget_init(&limits->budgets[i], (uint64_t)per_second[i], secret) != DW_OK) {
			limits_clear(limits);
			return DW_E_NOMEM;
		}
	}
	return DW_OK;
}

void
limits_clear(struct limits *limits)
{
	for (size_t i = 0; i < LIMIT_BUDGETS; i++)
		budget_clear(&limits->budgets[i]);
}

int
limits_user(struct limits *limits, enum limit_budget budget, const char *user)
{
	return budget_take(&limits->budgets[budget], dw_str(user), dw_mono_ms()) ? DW_OK : DW_E_RATE;
}

int
limits_address(struct limits *limits, enum limit_budget budget, const struct address *address)
{
	uint8_t key[ADDRESS_KEY];

	if (address->family == ADDRESS_NONE)
		return DW_OK;
	address_key(address, key);
	return budget_take(&limits->budgets[budget], dw_bytes(key, sizeof(key)), dw_mono_ms()) ? DW_OK : DW_E_RATE;
}

int
limits_request(struct limits *limits, const struct address *address, const struct dw_claims *claims)
{
	if (claims == NULL)
		return limits_address(limits, ADDRESS_REQUESTS, address);
	return (claims->scope & DW_SCOPE_PUBLISH) != 0 ? DW_OK : limits_user(limits, USER_REQUESTS, claims->user);
}

int
limits_token(const struct limits *limits, const struct address *address)
{
	uint8_t key[ADDRESS_KEY];

	if (address->family == ADDRESS_NONE)
		return DW_OK;
	address_key(address, key);
	return budget_has(&limits->budgets[BAD_TOKENS], dw_bytes(key, sizeof(key)), dw_mono_ms()) ? DW_OK : DW_E_RATE;
}

struct guest *
limits_site(struct limits *limits, const struct address *address)
{
	uint8_t key[ADDRESS_KEY];

	address_key(address, key);
	return guests_get(&limits->sites, dw_bytes(key, sizeof(key)));
}

int
limits_enter(struct limits *limits, const struct address *address, struct guest **out)
{
	int err = limits_address(limits, ADDRESS_HANDSHAKES, address);
	struct guest *site;

	if (err != DW_OK)
		return err;
	site = limits_site(limits, address);
	if (site == NULL)
		return DW_E_NOMEM;
	if (limits->strangers_max > 0 && address->family != ADDRESS_NONE && site->connections >= limits->strangers_max) {
		guests_release(&limits->sites, site);
		return DW_E_RATE;
	}
	site->connections++;
	*out = site;
	return DW_OK;
}

void
limits_leave(struct limits *limits, struct guest **site_p)
{
	struct guest *site = *site_p;

	if (site == NULL)
		return;
	*site_p = NULL;
	site->connections--;
	guests_release(&limits->sites, site);
}
