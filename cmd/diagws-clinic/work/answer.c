/* See answer.h. Numbers come out in as few digits as say them (%.15g): 0.85, not 0.84999999999999998.
 */
#include "work/answer.h"

#include "base/clock.h"
#include "message/msg.h"
#include "model/effectiveness.h"

static void
put_name(struct dw_buf *out, const char *name)
{
	if (out->len > 0 && out->data[out->len - 1] != '{' && out->data[out->len - 1] != '[')
		dw_buf_addc(out, ',');
	if (name != NULL)
		dw_buf_addf(out, "\"%s\":", name);
}

void
put_open(struct dw_buf *out, const char *name, char bracket)
{
	put_name(out, name);
	dw_buf_addc(out, bracket);
}

void
put_close(struct dw_buf *out, char bracket)
{
	dw_buf_addc(out, bracket);
}

void
put_null(struct dw_buf *out, const char *name)
{
	put_name(out, name);
	dw_buf_adds(out, "null");
}

void
put_bool(struct dw_buf *out, const char *name, bool value)
{
	put_name(out, name);
	dw_buf_adds(out, value ? "true" : "false");
}

void
put_integer(struct dw_buf *out, const char *name, int64_t value)
{
	put_name(out, name);
	dw_buf_addf(out, "%lld", (long long)value);
}

void
put_optional(struct dw_buf *out, const char *name, int64_t value)
{
	if (value != 0)
		put_integer(out, name, value);
	else
		put_null(out, name);
}

void
put_text(struct dw_buf *out, const char *name, struct dw_str text)
{
	if (text.p == NULL) {
		put_null(out, name);
		return;
	}
	put_name(out, name);
	dw_buf_add_json_string(out, text);
}

void
put_diagnosis(struct dw_buf *out, const char *name, struct dw_str id)
{
	put_name(out, name);
	dw_id_to_json(out, id);
}

void
put_real(struct dw_buf *out, const char *name, double value)
{
	put_name(out, name);
	dw_buf_addf(out, "%.15g", value);
}

void
put_share(struct dw_buf *out, const char *name, int64_t value, int64_t parts)
{
	put_real(out, name, (double)value / (double)parts);
}

void
put_average(struct dw_buf *out, const char *name, int64_t sum, int64_t n)
{
	if (n > 0)
		put_share(out, name, model_average(sum, n), 100);
	else
		put_null(out, name);
}

void
put_time(struct dw_buf *out, const char *name, int64_t at)
{
	char text[DW_TIME_SIZE];

	dw_time_text((uint64_t)at * 1000, text);
	put_name(out, name);
	dw_buf_addf(out, "\"%.19sZ\"", text);
}

void
put_buf(struct dw_buf *out, const char *name, const struct dw_buf *json)
{
	put_name(out, name);
	dw_buf_add(out, json->data, json->len);
	out->failed = out->failed || !dw_buf_ok(json);
}

void
put_error(struct dw_buf *out, const char *name, int err, const struct dw_fault *fault)
{
	put_open(out, name, '{');
	put_text(out, "code", dw_str(dw_err_code(err)));
	put_text(out, "message", dw_str(fault->message[0] != '\0' ? fault->message : dw_err_text(err)));
	if (fault->field[0] != '\0')
		put_text(out, "field", dw_str(fault->field));
	put_close(out, '}');
}

void
put_success(struct dw_buf *out)
{
	dw_buf_adds(out, "{\"success\":true");
}

void
put_cut(struct dw_buf *out, size_t len)
{
	if (out->data == NULL || len > out->len)
		return;
	out->len = len;
	out->data[len] = '\0';
}
