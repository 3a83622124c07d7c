/* Whole answers: see answer.h. Its own file because what has to be said in mid-body, and by TLS, is said without
 * libmicrohttpd.
 */
#include "answer.h"

void
answer_error(struct dw_buf *out, const char *code, const char *message, const char *field)
{
	dw_buf_addf(out, "{\"success\":false,\"error\":{\"code\":\"%s\",\"message\":", code);
	dw_buf_add_json_string(out, dw_str(message));
	if (field != NULL && field[0] != '\0') {
		dw_buf_adds(out, ",\"field\":");
		dw_buf_add_json_string(out, dw_str(field));
	}
	dw_buf_adds(out, "},\"detail\":");
	dw_buf_add_json_string(out, dw_str(message));
	dw_buf_addc(out, '}');
}

void
answer_raw(struct dw_buf *out, int status, const char *code, const char *message, const char *headers, bool body)
{
	struct dw_buf json = { 0 };

	answer_error(&json, code, message, NULL);
	dw_buf_addf(out,
		"HTTP/1.1 %d \r\nConnection: close\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"
		"X-Content-Type-Options: nosniff\r\nContent-Length: %zu\r\n%s\r\n",
		status, json.len, headers);
	if (body)
		dw_buf_add(out, json.data, json.len);
	out->failed |= json.failed;
	dw_buf_clear(&json);
}
