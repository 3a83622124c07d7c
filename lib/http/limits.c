/* Limits that people share: budgets (so many a second, budget.h), and guests, who count what is here now and are there
 * only while something is. Failure modes: no memory for a guest; a budget that is spent. Invariant: a good token is
 * refused because of others at its address only where these have spent its bad tokens and its own signature has not
 * been checked before.
 */
#include "limits.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

_Static_assert(offsetof(struct dw_http_guest, link) == 0, "a guest is its link");

static uint32_t
guest_hash(const struct dw_hash_link *link)
{
	const struct dw_http_guest *guest = (const struct dw_http_guest *)(const void *)link;

	return dw_hash_of(dw_bytes(guest->name, guest->length));
}

struct dw_http_guest *
dw_http_guest_get(struct dw_hash *guests, struct dw_str name)
{
	struct dw_hash_link *link = dw_hash_chain(guests, dw_hash_of(name));
	struct dw_http_guest *guest;

	for (; link != NULL; link = link->next) {
		guest = (struct dw_http_guest *)(void *)link;
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
dw_http_guest_release(struct dw_hash *guests, struct dw_http_guest *guest)
{
	if (guest == NULL || --guest->uses > 0)
		return;
	dw_hash_remove(guests, &guest->link, guest_hash(&guest->link));
	free(guest);
}

int
dw_http_limits_init(struct dw_http_limits *limits, const struct dw_http_bounds *bounds)
{
	const int64_t per_second[DW_HTTP_LIMITS] = {
		[DW_HTTP_USER_HANDSHAKES] = bounds->user_handshakes,
		[DW_HTTP_USER_REQUESTS] = bounds->user_requests,
		[DW_HTTP_ADDRESS_HANDSHAKES] = bounds->address_handshakes,
		[DW_HTTP_ADDRESS_REQUESTS] = bounds->address_requests,
		[DW_HTTP_BAD_TOKENS] = bounds->bad_tokens,
	};
	const uint64_t secret[2] = { dw_random(), dw_random() };

	*limits = (struct dw_http_limits) { .strangers_max = (unsigned)bounds->address_connections };
	for (size_t i = 0; i < DW_HTTP_LIMITS; i++) {
		if (dw_http_budget_init(&limits->budgets[i], (uint64_t)per_second[i], secret) != DW_OK) {
			dw_http_limits_clear(limits);
			return DW_E_NOMEM;
		}
	}
	return DW_OK;
}

void
dw_http_limits_clear(struct dw_http_limits *limits)
{
	for (size_t i = 0; i < DW_HTTP_LIMITS; i++)
		dw_http_budget_clear(&limits->budgets[i]);
	free(limits->users.chains);
	free(limits->sites.chains);
	*limits = (struct dw_http_limits) { 0 };
}

int
dw_http_limits_user(struct dw_http_limits *limits, enum dw_http_limit budget, const char *user)
{
	return dw_http_budget_take(&limits->budgets[budget], dw_str(user), dw_mono_ms()) ? DW_OK : DW_E_RATE;
}

int
dw_http_limits_address(struct dw_http_limits *limits, enum dw_http_limit budget, const struct dw_http_address *address)
{
	uint8_t key[DW_HTTP_ADDRESS_KEY];

	if (address->family == DW_HTTP_ADDRESS_NONE)
		return DW_OK;
	dw_http_address_key(address, key);
	return dw_http_budget_take(&limits->budgets[budget], dw_bytes(key, sizeof(key)), dw_mono_ms()) ? DW_OK : DW_E_RATE;
}

int
dw_http_limits_request(
	struct dw_http_limits *limits, const struct dw_http_address *address, const struct dw_claims *claims)
{
	if (claims == NULL)
		return dw_http_limits_address(limits, DW_HTTP_ADDRESS_REQUESTS, address);
	return (claims->scope & DW_SCOPE_PUBLISH) != 0 ? DW_OK
												   : dw_http_limits_user(limits, DW_HTTP_USER_REQUESTS, claims->user);
}

int
dw_http_limits_token(const struct dw_http_limits *limits, const struct dw_http_address *address)
{
	uint8_t key[DW_HTTP_ADDRESS_KEY];

	if (address->family == DW_HTTP_ADDRESS_NONE)
		return DW_OK;
	dw_http_address_key(address, key);
	return dw_http_budget_has(&limits->budgets[DW_HTTP_BAD_TOKENS], dw_bytes(key, sizeof(key)), dw_mono_ms())
			   ? DW_OK
			   : DW_E_RATE;
}

struct dw_http_guest *
dw_http_limits_site(struct dw_http_limits *limits, const struct dw_http_address *address)
{
	uint8_t key[DW_HTTP_ADDRESS_KEY];

	dw_http_address_key(address, key);
	return dw_http_guest_get(&limits->sites, dw_bytes(key, sizeof(key)));
}

int
dw_http_limits_enter(struct dw_http_limits *limits, const struct dw_http_address *address, struct dw_http_guest **out)
{
	int err = dw_http_limits_address(limits, DW_HTTP_ADDRESS_HANDSHAKES, address);
	struct dw_http_guest *site;

	if (err != DW_OK)
		return err;
	site = dw_http_limits_site(limits, address);
	if (site == NULL)
		return DW_E_NOMEM;
	if (limits->strangers_max > 0 && address->family != DW_HTTP_ADDRESS_NONE &&
		site->connections >= limits->strangers_max) {
		dw_http_guest_release(&limits->sites, site);
		return DW_E_RATE;
	}
	site->connections++;
	*out = site;
	return DW_OK;
}

void
dw_http_limits_leave(struct dw_http_limits *limits, struct dw_http_guest **site_p)
{
	struct dw_http_guest *site = *site_p;

	if (site == NULL)
		return;
	*site_p = NULL;
	site->connections--;
	dw_http_guest_release(&limits->sites, site);
}
