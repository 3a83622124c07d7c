/* Tokens that are checked without holding up the loop: a public key's signature takes long, and is another thread's.
 *
 * Who asks keeps a pointer to the check, which is NULL again once it has ended, however it ends. Where the program
 * itself is ending nobody is told; the loop must run until all are done.
 */
#ifndef DIAGWS_HTTP_CHECK_H
#define DIAGWS_HTTP_CHECK_H

#include "token/auth.h"

struct dw_http_address;
struct dw_http_check;
struct dw_http_limits;
struct uv_loop_s;

/* Where tokens are checked; its members are the program's to fill. */
struct dw_http_checks {
	struct uv_loop_s *loop;
	struct dw_auth *auth;
	struct dw_http_limits *limits;
	uint64_t max;   /* under way at a time */
	uint64_t count; /* of those under way */
	bool ending;    /* nobody is told any more */
};

/* The outcome, as of dw_auth_check; *claims is the callee's to take. */
typedef void dw_http_check_done(void *user, int err, struct dw_claims *claims);

/* What dw_auth_check says, where it can be said at once. DW_E_AGAIN: *slot is the check that has begun, and `done` will
 * be called from the loop. DW_E_BUSY: `max` are under way. DW_E_RATE, also as an outcome: its address has sent as many
 * bad tokens as it may, and this one was not verified before. The text is not needed any longer than this call.
 */
int dw_http_check_begin(struct dw_http_checks *checks, const struct dw_http_address *address, struct dw_str token,
	struct dw_claims *claims, struct dw_http_check **slot, dw_http_check_done *done, void *user);
/* Who asked is gone: `done` will not be called. *slot may be NULL. */
void dw_http_check_forget(struct dw_http_check **slot);

#endif
