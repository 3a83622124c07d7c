/* libs: jansson libcrypto */
/* A line of diagws-send -l, checked as every way in checks it. */
#include <jansson.h>
#include <string.h>

#include "hot.h"
#include "message/msg.h"

static struct dw_request request;

static void
line(void)
{
	static const char text[] =
		"{\"diagnosis_id\":\"123\",\"type\":\"effectiveness\",\"id\":\"batch-1\",\"data\":" HOT_DATA "}";
	struct dw_fault fault;

	MUST(dw_request_general(&request, NULL, NULL, text, sizeof(text) - 1, &fault) == DW_OK);
}

static void
plain_line(void)
{
	static const char text[] = "{\"diagnosis_id\":\"123\",\"type\":\"note_update\",\"data\":" HOT_DATA "}";
	struct dw_fault fault;

	MUST(dw_request_general(&request, NULL, NULL, text, sizeof(text) - 1, &fault) == DW_OK);
}

int
main(void)
{
	json_object_seed(1); /* its hash tables would differ from run to run */
	hot("request-effectiveness", 100, 1000, line);
	hot("request-plain", 100, 1000, plain_line);
	dw_request_clear(&request);
	return 0;
}
