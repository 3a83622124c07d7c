/* Errors: one list gives the number, the wire code, the exit status and the text.
 *
 * Every call that can fail returns 0 (DW_OK) or a negative enum dw_err. Results come through trailing out-parameters
 * and are untouched on failure. The number is printed as "[DW1003]", sent on the wire, and never reused.
 *
 * struct dw_fault says what a person needs to mend bad input. It is filled only on failure and never holds a secret.
 */
#ifndef DIAGWS_ERR_H
#define DIAGWS_ERR_H

#include <stddef.h>
#include <stdio.h>

/* X(name, number, exit status by sysexits(3), code in JSON, text) */
#define DW_ERRORS(X)                                                               \
	X(DW_E_NOMEM, 1001, 75, "out_of_memory", "out of memory")                      \
	X(DW_E_USAGE, 1002, 64, "usage", "wrong usage")                                \
	X(DW_E_FIELD, 1003, 65, "invalid_field", "a field is wrong")                   \
	X(DW_E_JSON, 1004, 65, "bad_json", "malformed JSON")                           \
	X(DW_E_TOO_BIG, 1005, 65, "too_big", "too big")                                \
	X(DW_E_NOINPUT, 1006, 66, "no_input", "cannot read input")                     \
	X(DW_E_INTERNAL, 1007, 70, "internal", "internal error")                       \
	X(DW_E_IO, 1008, 74, "io", "input or output failed")                           \
	X(DW_E_CREATE, 1009, 73, "cannot_create", "cannot create or write")            \
	X(DW_E_CONFIG, 1010, 78, "configuration", "wrong configuration")               \
	X(DW_E_AGAIN, 1011, 75, "again", "nothing there now")                          \
	X(DW_E_HUB_AWAY, 1101, 75, "hub_unreachable", "the hub does not answer")       \
	X(DW_E_TIMEOUT, 1102, 75, "timeout", "no answer in time")                      \
	X(DW_E_STORAGE_FULL, 1103, 75, "storage_full", "the hub's storage is full")    \
	X(DW_E_STORAGE, 1104, 75, "storage_failed", "the hub could not store it")      \
	X(DW_E_BUSY, 1105, 75, "busy", "the hub has too much in hand")                 \
	X(DW_E_PROTOCOL, 1106, 76, "protocol", "not the diagws protocol")              \
	X(DW_E_VERSION, 1107, 76, "version", "another protocol version")               \
	X(DW_E_ID_REUSED, 1108, 65, "id_reused", "this id was used for other content") \
	X(DW_E_UNKNOWN, 1109, 67, "unknown", "unknown diagnosis or user")              \
	X(DW_E_UNSUPPORTED, 1110, 69, "unsupported", "not supported by this version")  \
	X(DW_E_IN_USE, 1111, 69, "in_use", "already in use by another process")        \
	X(DW_E_CLOSING, 1112, 75, "closing", "shutting down")                          \
	X(DW_E_CORRUPT, 1113, 74, "corrupt", "the store is damaged or not ours")       \
	X(DW_E_UNDELIVERED, 1114, 75, "not_delivered", "not delivered in time")        \
	X(DW_E_DENIED, 1201, 77, "access_denied", "access denied")                     \
	X(DW_E_TOKEN_MISSING, 1202, 77, "token_required", "token required")            \
	X(DW_E_TOKEN, 1203, 77, "token_invalid", "token invalid")                      \
	X(DW_E_TOKEN_EXPIRED, 1204, 77, "token_expired", "token expired")              \
	X(DW_E_PERMISSION, 1205, 77, "permission", "no permission")                    \
	X(DW_E_RATE, 1206, 75, "rate_limit", "rate limit")

enum dw_err {
	DW_OK = 0,
#define X(name, number, status, code, text) name = -(number),
	DW_ERRORS(X)
#undef X
};

struct dw_fault {
	char field[72];     /* the member, option or file that is wrong; may be empty */
	char message[256];  /* what is wrong, in words, without a full stop */
	char expected[160]; /* what is allowed; may be empty */
};

/* The text, the JSON code and the exit status of err (DW_OK gives "ok", "ok", 0; a number that is
 * not in the list counts as DW_E_INTERNAL). */
const char *dw_err_text(int err);
const char *dw_err_code(int err);
int dw_err_exit(int err);

/* Fills fault (which may be NULL) and returns err, so that a check can end in one line. `field` and
 * `expected` may be NULL. Too long a text is cut at a character's boundary. */
int dw_fault_set(struct dw_fault *fault, int err, const char *field, const char *expected, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/* Prints to stream, the second and third line where they are known (`where` is the program's name, with file and line
 * where there is one; fault and hint may be NULL):
 *   where: message [DWnnnn]
 *     expected: what is allowed
 *     hint: how to go on */
void dw_fault_print(FILE *stream, const char *where, int err, const struct dw_fault *fault, const char *hint);

#endif
