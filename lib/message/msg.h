/* Messages: the grammar of their names, the rules for their contents, and what a client is shown.
 *
 * The same checks serve the command line, the library, HTTP and the hub. Source of names and bounds: diagws(7),
 * "Message types".
 */
#ifndef DIAGWS_MSG_H
#define DIAGWS_MSG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "json/json.h"
#include "message/position.h"

enum {
	DW_ROOM_MAX = 64,        /* bytes of a diagnosis id: [A-Za-z0-9_-] */
	DW_USER_MAX = 128,       /* bytes of a user id: any UTF-8 without control characters */
	DW_DEVICE_MAX = 64,      /* bytes of a device id: [A-Za-z0-9_.-] */
	DW_TYPE_MAX = 64,        /* [a-z0-9_]{1,57}_update */
	DW_ID_MAX = 128,         /* bytes of a sender's id: [A-Za-z0-9_.:-] */
	DW_DATA_MAX = 64 * 1024, /* bytes of `data`, white space dropped */
	DW_COMMENT_MAX = 500,    /* code points of feedback_update's `comment` */
	DW_REASON_MAX = 2000,    /* code points of recommendation_update's `reason` */
	DW_TTL_MAX_S = 30 * 24 * 3600,
};

bool dw_room_ok(struct dw_str s);
bool dw_user_ok(struct dw_str s);
bool dw_device_ok(struct dw_str s);
bool dw_type_ok(struct dw_str s);
bool dw_id_ok(struct dw_str s);

/* The same of a command's operand or option, told: `from` ("option '--user': ", or "") begins the message. DW_E_FIELD.
 */
int dw_room_check(struct dw_str room, const char *from, struct dw_fault *fault);
int dw_user_check(struct dw_str user, const char *from, struct dw_fault *fault);

/* Turns "recommendation", "effectiveness", "feedback" into their "…_update" and copies any valid
 * "*_update" as it is. DW_E_FIELD with fault. */
int dw_type_expand(struct dw_str word, char out[DW_TYPE_MAX + 1], struct dw_fault *fault);

/* A diagnosis or user id as JSON shows it: a number when it is all digits without a leading zero
 * and below 2^53, else a string; and back: what a JSON member gives as an id (a string, or an integer
 * that is not negative and below 2^53). Only the form is checked, not the grammar. */
void dw_id_to_json(struct dw_buf *out, struct dw_str id);
int dw_id_from_json(const struct dw_json_member *member, char *out, size_t size, struct dw_fault *fault);

/* Checks the `data` of a message of this type, given as JSON text of n bytes, and appends it
 * without white space to `compact`. DW_E_JSON, DW_E_TOO_BIG, DW_E_FIELD (field, what was given,
 * what is allowed), DW_E_NOMEM. */
int dw_data_check(struct dw_str type, const char *data, size_t n, struct dw_buf *compact, struct dw_fault *fault);
/* The part of it that looks at members, for an object that is parsed already and may have more of them. DW_E_FIELD. */
int dw_members_check(struct dw_str type, const struct dw_json *object, struct dw_fault *fault);
/* What a member of an object must be. */
struct dw_rule {
	const char *name;
	enum dw_json_type kind; /* DW_JSON_REAL: any number */
	bool optional;          /* then null is as good as absent */
	int64_t min, max;       /* the value's bounds; of a string, the number of code points */
	const char *expected;   /* in words */
};
/* DW_E_FIELD: it is missing, of another kind, or out of bounds. */
int dw_rule_check(const struct dw_rule *rule, const struct dw_json *object, struct dw_fault *fault);
/* Parses what must be an object. Fails like dw_json_parse, and with DW_E_FIELD. *out is the caller's:
 * dw_json_destroy. */
int dw_object_parse(struct dw_json **out, struct dw_str text, struct dw_fault *fault);
/* DW_E_TOO_BIG when `data` of so many bytes is over the limit. */
int dw_data_size_check(size_t n, struct dw_fault *fault);

enum { DW_QUOTE_SIZE = 48 };
/* What was given, fit for a message: cut to at most 44 bytes at a character's boundary, control characters and bad
 * UTF-8 as '?'. Returns out. */
const char *dw_quote(struct dw_str s, char out[DW_QUOTE_SIZE]);
/* Fills fault with "field 'NAME': VALUE why" and returns DW_E_FIELD. */
int dw_member_refuse(
	const struct dw_json_member *member, const char *why, const char *expected, struct dw_fault *fault);

/* What a request (a line of diagws-send -l, the body of a POST) says; all zero: nothing yet. Strings lie in the struct.
 */
struct dw_request {
	char room[DW_ROOM_MAX + 1];
	char type[DW_TYPE_MAX + 1];
	char id[DW_ID_MAX + 1];   /* "" when none was given */
	char to[DW_USER_MAX + 1]; /* member `user`: only this user gets it; "": everyone */
	uint64_t except;          /* member `exclude_session`: this session does not get it; 0: none */
	uint64_t ttl_ms;          /* member `ttl_s`; 0: as long as the room keeps it */
	struct dw_buf data;       /* compact JSON object */
	struct dw_buf scalars;    /* `"recommendation_id":789,"rating":4`: the request's scalar members but diagnosis_id,
								 id, type and the answer's own names, in its own bytes, comma-separated; for the
								 answer to a POST */
};

void dw_request_clear(struct dw_request *request);

/* A session as clients are told it: 16 hexadecimal digits, not all 0. false: it is none. */
bool dw_session_parse(struct dw_str s, uint64_t *session);

/* Reads `{"diagnosis_id":…,"type":…,"data":{…},"id":…,"user":…,"exclude_session":…,"ttl_s":…}`. The two defaults
 * may be NULL; they serve where the member is absent (type may be the short name). Unknown members are refused. Of
 * id, user, exclude_session and ttl_s null counts as absent.
 * After DW_E_FIELD and DW_E_TOO_BIG `room` is still set where a well-formed one was given (else ""): a stranger must be
 * turned away before being told which field is wrong. All else is then unspecified.
 * DW_E_JSON, DW_E_TOO_BIG, DW_E_FIELD, DW_E_NOMEM. */
int dw_request_general(struct dw_request *request, const char *default_room, const char *default_type, const char *body,
	size_t n, struct dw_fault *fault);
/* Reads a body whose members are those of `data` beside diagnosis_id and id: the three
 * broadcast-…-update calls. Any other member is passed on in `data`, `type` and `user` too. Fails like
 * dw_request_general. */
int dw_request_flat(struct dw_request *request, const char *type, const char *body, size_t n, struct dw_fault *fault);

/* One stored message, as it is kept and sent (see dw_record_* in wire.h). One without a type is a tombstone: the
 * position of a message that is no more, by its own `expires_at`, or else because it is not retained. */
struct dw_record {
	uint64_t seq;
	uint64_t n;  /* a direct one has none of its own: the room's n when it was stored */
	uint64_t at; /* ms since 1970: when it was stored */
	struct dw_str type;
	struct dw_str id;
	struct dw_str data;  /* compact JSON */
	struct dw_str to;    /* not empty: a direct message, for this user only */
	uint64_t except;     /* a session that does not get it; 0: none */
	uint64_t expires_at; /* ms since 1970: it is a tombstone from then on; 0: never */
	uint64_t own;        /* of a direct one: its number among those to that user in the room; else 0 */
};

static inline struct dw_number
dw_record_number(const struct dw_record *record)
{
	return (struct dw_number) { record->seq, record->n, record->own };
}

/* Whether it is for everyone, whenever they read it. */
static inline bool
dw_record_plain(const struct dw_record *record)
{
	return record->type.n > 0 && record->to.n == 0 && record->except == 0 && record->expires_at == 0;
}

/* Whether it is, or has become, a tombstone. */
static inline bool
dw_record_dead(const struct dw_record *record, uint64_t now)
{
	return record->type.n == 0 || (record->expires_at != 0 && record->expires_at <= now);
}

/* The longest that dw_record_to_json makes of data of n bytes: the data itself; of a recommendation_update its old_data
 * and new_data once more, and the names in new_data, which come as a list again; and what stands around it. */
enum { DW_RENDERED_TIMES = 3, DW_RENDERED_MORE = 512 };
static inline size_t
dw_rendered_most(size_t n)
{
	return DW_RENDERED_TIMES * n + DW_RENDERED_MORE;
}

/* Appends the JSON object that clients get for it: type, diagnosis_id, timestamp, seq, n, id, data; a direct
 * message has `"direct":true` and its number as `direct_n` in the place of n.
 * For recommendation_update the data is completed (old_recommendation, new_recommendation,
 * changed_fields); a member that we compute replaces one of that name that the sender gave. */
void dw_record_to_json(struct dw_buf *out, struct dw_str room, const struct dw_record *record);

#endif
