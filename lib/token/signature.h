/* Signatures that a public key verifies: RS256, RS384, RS512, ES256, ES384, ES512.
 *
 * A key is read once and never changes: any number of threads may check with it at the same time.
 */
#ifndef DIAGWS_SIGNATURE_H
#define DIAGWS_SIGNATURE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

struct dw_public;

bool dw_public_is(const char *algorithm); /* is it one of these? */
/* The algorithm must be one of these. DW_E_CONFIG: no public key, or not one for that algorithm; DW_E_NOMEM. */
int dw_public_read(struct dw_public **out, const char *algorithm, struct dw_str pem);
void dw_public_destroy(struct dw_public **key_p);
/* Whether the signature (decoded, as RFC 7518 has it) is this key's under the text. DW_OK, DW_E_TOKEN, DW_E_NOMEM. */
int dw_public_check(const struct dw_public *key, struct dw_str text, struct dw_str signature);

#endif
