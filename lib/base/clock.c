/* Time, randomness and digests, each a thin cover of the system's or OpenSSL's own. */
#include "base/clock.h"

/* SHA256() of OpenSSL 3 allocates, and leaves the digest as it was when it cannot; the old calls cannot fail. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

static uint64_t
read_us(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000U + (uint64_t)now.tv_nsec / 1000U;
}

uint64_t
dw_now_ms(void)
{
	return read_us(CLOCK_REALTIME) / 1000U;
}

uint64_t
dw_mono_ms(void)
{
	return read_us(CLOCK_MONOTONIC) / 1000U;
}

uint64_t
dw_mono_us(void)
{
	return read_us(CLOCK_MONOTONIC);
}

void
dw_time_text(uint64_t at_ms, char out[DW_TIME_SIZE])
{
	time_t seconds = (time_t)(at_ms / 1000U);
	struct tm utc;
	char whole[20];

	(void)gmtime_r(&seconds, &utc);
	(void)strftime(whole, sizeof(whole), "%Y-%m-%dT%H:%M:%S", &utc);
	(void)snprintf(out, DW_TIME_SIZE, "%s.%03uZ", whole, (unsigned)(at_ms % 1000U));
}

uint64_t
dw_random(void)
{
	uint64_t value;

	if (getrandom(&value, sizeof(value), 0) != (ssize_t)sizeof(value))
		abort();
	return value;
}

void
dw_random_id(char out[DW_HEX_ID_SIZE])
{
	(void)snprintf(
		out, DW_HEX_ID_SIZE, "%016llx%016llx", (unsigned long long)dw_random(), (unsigned long long)dw_random());
}

void
dw_sha256(const struct dw_str *parts, size_t count, uint8_t out[32])
{
	SHA256_CTX state;

	(void)SHA256_Init(&state);
	for (size_t i = 0; i < count; i++)
		(void)SHA256_Update(&state, parts[i].p, parts[i].n);
	(void)SHA256_Final(out, &state);
}
