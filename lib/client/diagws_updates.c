/* libdiagws: the three documented updates, whose data is put together here from arguments.
 *
 * Whether values are within their bounds is left to the check that every message passes (dw_data_check); here is only
 * what that cannot see: a number that JSON does not have, and text that would be an object only together with ours.
 *
 * Invariant: numbers are printed with a point whatever the locale, and read back as the same number.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/diagws_parts.h"
#include "diagws.h"
#include "json/json.h"

/* The shortest of 15 or 17 digits that reads back the same. */
static int
add_number(struct diagws *d, const char *field, double value)
{
	char text[40];

	if (!isfinite(value))
		return dw_diagws_refuse(d, field, "a finite number", "it is not a number that JSON has");
	(void)snprintf(text, sizeof(text), "%.15g", value);
	if (strtod(text, NULL) < value || strtod(text, NULL) > value)
		(void)snprintf(text, sizeof(text), "%.17g", value);
	dw_buf_addf(&d->built, "\"%s\":%s,", field, text);
	return DW_OK;
}

static void
add_integer(struct diagws *d, const char *field, int64_t value)
{
	dw_buf_addf(&d->built, "\"%s\":%lld,", field, (long long)value);
}

static void
add_text(struct diagws *d, const char *field, const char *text)
{
	dw_buf_addf(&d->built, "\"%s\":", field);
	dw_buf_add_json_string(&d->built, dw_str(text));
	dw_buf_addc(&d->built, ',');
}

/* An object that stands for itself: text that would only be JSON together with ours is refused. */
static int
add_object(struct diagws *d, const char *field, const char *text)
{
	struct dw_json *json;
	int err;

	if (text == NULL)
		return dw_diagws_refuse(d, field, "a JSON object", "it is missing");
	err = dw_json_parse(&json, text, strlen(text), &d->fault);
	if (err != DW_OK)
		return dw_diagws_fail(d, err);
	if (dw_json_type(json) != DW_JSON_OBJECT) {
		err = dw_diagws_refuse(d, field, "a JSON object", "it is not an object");
	} else {
		dw_buf_addf(&d->built, "\"%s\":", field);
		dw_buf_add(&d->built, dw_json_text(json).p, dw_json_text(json).n);
		dw_buf_addc(&d->built, ',');
	}
	dw_json_destroy(&json);
	return err;
}

/* Until `finish` numbers are written and read as in C; it gets the locale to go back to. */
static locale_t
begin(struct diagws *d)
{
	d->fault = (struct dw_fault) { 0 };
	dw_buf_reset(&d->built);
	dw_buf_addc(&d->built, '{');
	return uselocale(d->plain);
}

/* Closes the object, whose last member left a comma, and sends it; err: what building it came to. */
static int
finish(
	struct diagws *d, locale_t before, int err, const char *diagnosis, const char *type, struct diagws_receipt *receipt)
{
	(void)uselocale(before);
	if (err == DW_OK && !dw_buf_ok(&d->built))
		err = dw_diagws_fail(d, DW_E_NOMEM);
	if (err != DW_OK) {
		d->next = (struct dw_diagws_how) { 0 };
		if (receipt != NULL)
			*receipt = (struct diagws_receipt) { 0 };
		return err;
	}
	d->built.data[d->built.len - 1] = '}';
	return diagws_publish(d, diagnosis, type, d->built.data, d->built.len, NULL, receipt);
}

int
diagws_broadcast_recommendation_update(struct diagws *d, const char *diagnosis, const char *old_data,
	const char *new_data, const char *reason, struct diagws_receipt *receipt)
{
	const locale_t before = begin(d);
	int err = add_object(d, "old_data", old_data);

	if (err == DW_OK)
		err = add_object(d, "new_data", new_data);
	if (err == DW_OK && reason != NULL)
		add_text(d, "reason", reason);
	return finish(d, before, err, diagnosis, "recommendation_update", receipt);
}

int
diagws_broadcast_effectiveness_update(struct diagws *d, const char *diagnosis, int64_t recommendation_id,
	double new_effectiveness, double confidence, int64_t sample_size, struct diagws_receipt *receipt)
{
	const locale_t before = begin(d);
	int err;

	add_integer(d, "recommendation_id", recommendation_id);
	err = add_number(d, "new_effectiveness", new_effectiveness);
	if (err == DW_OK)
		err = add_number(d, "confidence", confidence);
	add_integer(d, "sample_size", sample_size);
	return finish(d, before, err, diagnosis, "effectiveness_update", receipt);
}

int
diagws_broadcast_feedback_update(struct diagws *d, const char *diagnosis, int64_t feedback_id, int rating,
	double effectiveness, int64_t recommendation_id, const char *comment, struct diagws_receipt *receipt)
{
	const locale_t before = begin(d);
	int err;

	add_integer(d, "feedback_id", feedback_id);
	add_integer(d, "rating", rating);
	err = add_number(d, "effectiveness", effectiveness);
	if (recommendation_id >= 0)
		add_integer(d, "recommendation_id", recommendation_id);
	if (comment != NULL)
		add_text(d, "comment", comment);
	return finish(d, before, err, diagnosis, "feedback_update", receipt);
}
