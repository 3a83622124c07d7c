/* Whole answers: see answer.h. What has to be said in mid-body, and by TLS, is said without libmicrohttpd.
 */
#include "answer.h"

#include <time.h>

void
dw_http_write_error(struct dw_buf *out, const char *code, const char *message, const char *field)
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
dw_http_write_answer(struct dw_buf *out, int status, struct dw_str json, const char *headers, bool body)
{
	const time_t now = time(NULL);
	char date[64] = "";
	struct tm parts;

	if (gmtime_r(&now, &parts) != NULL)
		(void)strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &parts);
	dw_buf_addf(out,
		"HTTP/1.1 %d Refused\r\nDate: %s\r\nConnection: close\r\nContent-Type: application/json\r\n"
		"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nContent-Length: %zu\r\n%s\r\n",
		status, date, json.n, headers);
	if (body)
		dw_buf_add(out, json.p, json.n);
}
