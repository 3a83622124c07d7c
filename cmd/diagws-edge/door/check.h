/* Tokens that are checked without holding up the loop: a public key's signature takes long, and is another thread's.
 *
 * Who asks keeps a pointer to the check, which is NULL again once it has ended, however it ends. Where the edge itself
 * is ending nobody is told; the loop must run until all are done.
 */
#ifndef CHECK_H
#define CHECK_H

#include "token/auth.h"

struct address;
struct check;
struct edge;

/* The outcome, as of dw_auth_check; *claims is the callee's to take. */
typedef void check_done(void *user, int err, struct dw_claims *claims);

/* What dw_auth_check says, where it can be said at once. DW_E_AGAIN: *slot is the check that has begun, and `done` will
 * be called from the loop. DW_E_BUSY: --max-checks are under way. DW_E_RATE, also as an outcome: its address has sent
 * as many bad tokens as it may, and this one was not verified before. The text is not needed any longer than this call.
 */
int check_begin(struct edge *edge, const struct address *address, struct dw_str token, struct dw_claims *claims,
	struct check **slot, check_done *done, void *user);
/* Who asked is gone: `done` will not be called. *slot may be NULL. */
void check_forget(struct check **slot);

#endif
