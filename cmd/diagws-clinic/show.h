/* A call's answer for people and programs, by --format: one way for all answers.
 *
 * json: as it is. ndjson: a line for each element of its only array of objects, else the object. tsv: the same as rows
 * with a header. table (on a terminal): its members, a line each, then each of its arrays of objects as a table, whose
 * columns are left out, least telling ones first, until it fits; which ones is said below.
 */
#ifndef SHOW_H
#define SHOW_H

#include "base/buf.h"

/* Prints on stdout. DW_E_NOMEM, DW_E_IO. */
int show_answer(struct dw_str answer);

#endif
