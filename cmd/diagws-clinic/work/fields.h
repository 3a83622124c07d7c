/* Bodies: JSON objects whose members a table of rules names. Beside what the rules want nothing may stand there, so
 * that a misspelt name is told and not lost.
 */
#ifndef WORK_FIELDS_H
#define WORK_FIELDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "message/msg.h"

/* In the place of a rule's kind: a diagnosis id, which JSON gives as a string or a number. */
#define FIELD_DIAGNOSIS DW_JSON_NULL

/* First a member that no rule names is told, then the first rule that is broken. DW_E_FIELD. */
int fields_check(const struct dw_json *object, const struct dw_rule *rules, size_t count, struct dw_fault *fault);

/* Members of an object that was checked. NULL, `absent`, an empty text: it is not there, or null. */
const struct dw_json_member *field_given(const struct dw_json *object, const char *name);
int64_t field_integer(const struct dw_json *object, const char *name, int64_t absent);
struct dw_str field_text(const struct dw_json *object, const char *name);
/* out holds DW_ROOM_MAX + 1 bytes. */
void field_diagnosis(const struct dw_json *object, const char *name, char *out);

#endif
