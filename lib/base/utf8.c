/* UTF-8, a byte at a time: the table of RFC 3629, section 4. libwebsockets (4.1) is not asked, for once a client has
 * sent text it judges PONGs, too, which carry any bytes.
 */
#include "base/utf8.h"

/* The first byte of a character. */
static bool
begin(struct dw_utf8 *utf8, uint8_t byte)
{
	utf8->low = 0x80;
	utf8->high = 0xbf;
	if (byte < 0x80)
		return true;
	if (byte < 0xc2 || byte > 0xf4)
		return false;
	utf8->left = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
	if (byte == 0xe0)
		utf8->low = 0xa0;
	else if (byte == 0xed)
		utf8->high = 0x9f;
	else if (byte == 0xf0)
		utf8->low = 0x90;
	else if (byte == 0xf4)
		utf8->high = 0x8f;
	return true;
}

bool
dw_utf8_take(struct dw_utf8 *utf8, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	for (size_t i = 0; i < n; i++) {
		if (utf8->left == 0) {
			if (!begin(utf8, p[i]))
				return false;
			continue;
		}
		if (p[i] < utf8->low || p[i] > utf8->high)
			return false;
		utf8->left--;
		utf8->low = 0x80;
		utf8->high = 0xbf;
	}
	return true;
}

size_t
dw_utf8_character(const void *bytes, size_t n)
{
	struct dw_utf8 utf8 = { 0 };

	for (size_t i = 0; i < n && dw_utf8_take(&utf8, (const uint8_t *)bytes + i, 1); i++) {
		if (utf8.left == 0)
			return i + 1;
	}
	return 0;
}
