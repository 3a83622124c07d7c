/* Checks of tokens under way, on libuv's threads: dw_http_check_begin → dw_auth_verify on another thread → after, on
 * the loop.
 *
 * So that one who sends many does not hold up the others, ADDRESS_CHECKS of an address are with the threads and the
 * rest of it waits here; when its bad tokens are spent, none of these is checked at all. Failure modes: too many under
 * way, or no memory (said at once); who asked goes away (work that has not begun is taken back, an outcome is dropped).
 * Invariants: a thread touches the check's own dw_check and nothing else; *slot points here as long as somebody waits;
 * an address has checks that wait only while it has others with the threads.
 */
#include "check.h"

#include <stdlib.h>
#include <utlist.h>
#include <uv.h>

#include "base/clock.h"
#include "cli/logging.h"
#include "http/address.h"
#include "http/limits.h"

enum { ADDRESS_CHECKS = 64 }; /* of signatures, for one address at a time: the others of it wait */

struct dw_http_check {
	uv_work_t work;
	struct dw_http_check *prev, *next; /* in its site's, until it is */
	bool given;                        /* to the threads */
	struct dw_http_checks *checks;
	struct dw_http_guest *site;
	struct dw_http_address address;
	struct dw_check *token;
	struct dw_http_check **slot; /* NULL: nobody waits */
	dw_http_check_done *done;
	void *user;
};

static void
verify(uv_work_t *work)
{
	struct dw_http_check *check = work->data;

	dw_auth_verify(check->token);
}

static int
note(const struct dw_http_address *address, int err)
{
	char text[DW_HTTP_ADDRESS_TEXT];

	if (err == DW_OK)
		return err;
	dw_http_address_text(address, text);
	dw_log_debug("token refused", "reason=%s address=%s", dw_err_code(err), text);
	return err;
}

/* It has ended so, and nobody needs it any more. */
static void
finish(struct dw_http_check *check, int err, struct dw_claims *claims)
{
	struct dw_http_checks *checks = check->checks;

	checks->count--;
	if (check->slot != NULL) {
		*check->slot = NULL;
		if (!checks->ending)
			check->done(check->user, note(&check->address, err), claims);
	}
	dw_claims_clear(claims);
	dw_http_guest_release(&checks->limits->sites, check->site);
	free(check);
}

/* Without a look at its signature. */
static void
drop(struct dw_http_check *check, int err)
{
	struct dw_claims none = { 0 };

	(void)dw_auth_end(check->checks->auth, &check->token, 0, &none, NULL);
	finish(check, err, &none);
}

static void after(uv_work_t *work, int status);

static void
give(struct dw_http_check *check)
{
	(void)uv_queue_work(check->checks->loop, &check->work, verify, after); /* it cannot fail */
	check->given = true;
	check->site->checks++;
}

/* One of its address has ended. */
static void
give_next(struct dw_http_checks *checks, struct dw_http_guest *site)
{
	struct dw_http_check *check;

	while ((check = site->waiting) != NULL && site->checks < ADDRESS_CHECKS) {
		int err = checks->ending ? DW_E_CLOSING : dw_http_limits_token(checks->limits, &check->address);

		DL_DELETE(site->waiting, check);
		if (err == DW_OK)
			give(check);
		else
			drop(check, err);
	}
}

static void
after(uv_work_t *work, int status)
{
	struct dw_http_check *check = work->data;
	struct dw_http_checks *checks = check->checks;
	struct dw_http_guest *site = check->site;
	struct dw_claims claims = { 0 };
	int err = dw_auth_end(checks->auth, &check->token, dw_now_ms() / 1000, &claims, NULL);

	if (status == 0 && err == DW_E_TOKEN) /* not 0: it was taken back before it began, and nobody waits */
		(void)dw_http_limits_address(checks->limits, DW_HTTP_BAD_TOKENS, &check->address);
	site->checks--;
	site->uses++;
	finish(check, err, &claims);
	give_next(checks, site);
	dw_http_guest_release(&checks->limits->sites, site);
}

/* NULL: too many, or no memory. */
static struct dw_http_check *
new_check(struct dw_http_checks *checks, const struct dw_http_address *address)
{
	const bool full = checks->count >= checks->max;
	struct dw_http_check *check = full ? NULL : calloc(1, sizeof(*check));

	if (check != NULL)
		check->site = dw_http_limits_site(checks->limits, address);
	if (check == NULL || check->site == NULL) {
		free(check);
		return NULL;
	}
	check->work.data = check;
	check->checks = checks;
	check->address = *address;
	checks->count++;
	return check;
}

int
dw_http_check_begin(struct dw_http_checks *checks, const struct dw_http_address *address, struct dw_str token,
	struct dw_claims *claims, struct dw_http_check **slot, dw_http_check_done *done, void *user)
{
	const uint64_t now_s = dw_now_ms() / 1000;
	struct dw_claims unused = { 0 };
	struct dw_check *later = NULL;
	struct dw_http_check *check;
	int err = dw_auth_begin(checks->auth, token, now_s, claims, &later, NULL);

	if (later == NULL) {
		if (err == DW_E_TOKEN) /* one that has expired was good */
			(void)dw_http_limits_address(checks->limits, DW_HTTP_BAD_TOKENS, address);
		return note(address, err);
	}
	err = dw_http_limits_token(checks->limits, address);
	check = err == DW_OK ? new_check(checks, address) : NULL;
	if (check == NULL) {
		(void)dw_auth_end(checks->auth, &later, 0, &unused, NULL);
		return note(address, err != DW_OK ? err : DW_E_BUSY);
	}
	check->token = later;
	check->done = done;
	check->user = user;
	check->slot = slot;
	*slot = check;
	if (address->family == DW_HTTP_ADDRESS_NONE || check->site->checks < ADDRESS_CHECKS)
		give(check);
	else
		DL_APPEND(check->site->waiting, check);
	return DW_E_AGAIN;
}

void
dw_http_check_forget(struct dw_http_check **slot)
{
	struct dw_http_check *check = *slot;

	if (check == NULL)
		return;
	*slot = NULL;
	check->slot = NULL;
	if (check->given) {
		(void)uv_cancel((uv_req_t *)&check->work); /* too late when it has begun; `after` comes either way */
		return;
	}
	DL_DELETE(check->site->waiting, check);
	drop(check, DW_OK);
}
