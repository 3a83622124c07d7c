/* See when.h. */
#include "when.h"

#include <ctype.h>
#include <string.h>
#include <time.h>

#include "cli/opt.h"

static const int64_t END = INT64_C(253402300799); /* 9999-12-31T23:59:59Z */

/* Two digits; -1: they are none. */
static int
two_digits(const char *text)
{
	if (!isdigit((unsigned char)text[0]) || !isdigit((unsigned char)text[1]))
		return -1;
	return (text[0] - '0') * 10 + (text[1] - '0');
}

/* "Z" or "+03:30", to its end. */
static bool
parse_zone(const char *text, int64_t *seconds)
{
	int hours, minutes;

	*seconds = 0;
	if ((text[0] == 'Z' || text[0] == 'z') && text[1] == '\0')
		return true;
	if ((text[0] != '+' && text[0] != '-') || strlen(text) != sizeof("+03:30") - 1 || text[3] != ':')
		return false;
	hours = two_digits(text + 1);
	minutes = two_digits(text + 4);
	if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
		return false;
	*seconds = (text[0] == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
	return true;
}

bool
when_parse(const char *text, int64_t *at)
{
	struct tm tm = { 0 }, again;
	int64_t value, zone = 0;
	const char *rest;
	time_t back;
	int day;

	if (text[strspn(text, "0123456789")] == '\0') {
		if (!dw_parse_number(text, &value) || value > END)
			return false;
		*at = value;
		return true;
	}
	rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (rest == NULL || rest - text != 19)
		return false;
	if (*rest == '.') {
		if (!isdigit((unsigned char)rest[1]))
			return false;
		rest += 1 + strspn(rest + 1, "0123456789");
	}
	if (!parse_zone(rest, &zone))
		return false;
	day = tm.tm_mday;
	back = timegm(&tm);
	/* A 30th of February has become another day. */
	if (gmtime_r(&back, &again) == NULL || again.tm_mday != day || back - zone < 0 || back - zone > END)
		return false;
	*at = back - zone;
	return true;
}

void
when_print(int64_t at, char out[WHEN_SIZE])
{
	const time_t time = at;
	struct tm tm;

	if (gmtime_r(&time, &tm) == NULL || strftime(out, WHEN_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		out[0] = '\0';
}
