/* WebSocket frames, built once and sent to many. Layout of a PING's payload: a tag, then 'D': a seal, the position's
 * seq and n, and own where it is not 0, 'C': a counter; 8 bytes each, big endian. Of a counter the sender knows which
 * one is due; many positions may be, and the seal tells those that were sent from all others.
 */
#include "frame.h"

#include <endian.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

enum {
	TEXT_FINAL = 0x81,
	CLOSE_FINAL = 0x88,
	PING_FINAL = 0x89,
	CLOSE_MAX = 125, /* of any control frame */
	POSITION = 'D',
	POSITION_SIZE = 25,
	OWN_SIZE = 33,
	COUNTER = 'C',
	COUNTER_SIZE = 9,
};

static EVP_MAC_CTX *mac; /* one for all: a seal is a few steps on one thread */

static void
put_number(uint8_t *to, uint64_t value)
{
	const uint64_t big_endian = htobe64(value);

	memcpy(to, &big_endian, sizeof(big_endian));
}

void
frame_text(struct dw_buf *out, struct dw_str payload)
{
	uint8_t header[FRAME_HEADER_MAX] = { TEXT_FINAL };
	size_t size = 2;

	if (payload.n < 126) {
		header[1] = (uint8_t)payload.n;
	} else if (payload.n <= UINT16_MAX) {
		header[1] = 126;
		header[2] = (uint8_t)(payload.n >> 8);
		header[3] = (uint8_t)payload.n;
		size = 4;
	} else {
		header[1] = 127;
		put_number(header + 2, payload.n);
		size = 10;
	}
	dw_buf_add(out, header, size);
	dw_buf_add(out, payload.p, payload.n);
}

void
frame_close(struct dw_buf *out, unsigned code, struct dw_str reason)
{
	const size_t n = dw_less(reason.n, CLOSE_MAX - 2);
	const uint8_t head[] = { CLOSE_FINAL, (uint8_t)(code > 0 ? 2 + n : 0), (uint8_t)(code >> 8), (uint8_t)code };

	dw_buf_add(out, head, code > 0 ? 4 : 2);
	if (code > 0)
		dw_buf_add(out, reason.p, n);
}

bool
frame_open(void)
{
	size_t size = sizeof(uint64_t);
	const OSSL_PARAM params[] = { OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size), OSSL_PARAM_construct_end() };
	EVP_MAC *siphash = mac == NULL ? EVP_MAC_fetch(NULL, "SIPHASH", NULL) : NULL;

	if (siphash != NULL)
		mac = EVP_MAC_CTX_new(siphash);
	EVP_MAC_free(siphash);
	return mac != NULL && EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* SipHash-2-4 (Aumasson and Bernstein, 2012): what has it of others cannot make one. */
static bool
seal_of(const struct frame_key *key, struct dw_position position, uint64_t *seal)
{
	const uint64_t words[] = { key->of, dw_seq(position), dw_n(position), dw_own(position) };
	const unsigned char *secret = (const void *)key->secret, *bytes = (const void *)words;
	size_t n;

	return EVP_MAC_init(mac, secret, sizeof(key->secret), NULL) == 1 &&
		   EVP_MAC_update(mac, bytes, sizeof(words)) == 1 &&
		   EVP_MAC_final(mac, (unsigned char *)seal, &n, sizeof(*seal)) == 1;
}

void
frame_ping(struct dw_buf *out, struct dw_position position, const struct frame_key *key)
{
	const uint8_t size = dw_own(position) > 0 ? OWN_SIZE : POSITION_SIZE;
	uint8_t frame[2 + OWN_SIZE] = { PING_FINAL, size, POSITION };
	uint64_t seal = 0;

	out->failed |= !seal_of(key, position, &seal);
	put_number(frame + 3, seal);
	put_number(frame + 11, dw_seq(position));
	put_number(frame + 19, dw_n(position));
	put_number(frame + 27, dw_own(position));
	dw_buf_add(out, frame, 2U + size);
}

bool
frame_pong(const void *payload, size_t n, const struct frame_key *key, struct dw_position *position)
{
	const uint8_t *p = payload;
	struct dw_position said;
	uint64_t seal;

	if ((n != POSITION_SIZE && n != OWN_SIZE) || p[0] != POSITION)
		return false;
	said = dw_position_said(
		dw_big_endian(p + 9, 8), dw_big_endian(p + 17, 8), n == OWN_SIZE ? dw_big_endian(p + 25, 8) : 0);
	if (!seal_of(key, said, &seal) || dw_big_endian(p + 1, 8) != seal)
		return false;
	*position = said;
	return true;
}

void
frame_ping_counter(struct dw_buf *out, uint64_t counter)
{
	uint8_t frame[2 + COUNTER_SIZE] = { PING_FINAL, COUNTER_SIZE, COUNTER };

	put_number(frame + 3, counter);
	dw_buf_add(out, frame, sizeof(frame));
}

bool
frame_pong_counter(const void *payload, size_t n, uint64_t *counter)
{
	const uint8_t *p = payload;

	if (n != COUNTER_SIZE || p[0] != COUNTER)
		return false;
	*counter = dw_big_endian(p + 1, 8);
	return true;
}
