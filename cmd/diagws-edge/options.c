/* The edge's options: one table, and the checks that the table cannot say. Failure modes: usage (64), what does not go
 * together (78).
 */
#include "options.h"

#include "base/paths.h"
#include "cli/logging.h"
#include "http/listen.h"
#include "http/origin.h"

static struct edge_config o = {
	.listen = { .item = { "127.0.0.1:8000" }, .count = 1 },
	.drain_ms = 30 * 1000,
	.slow_ms = 30 * 1000,
	.max_connections = 20000,
	.max_checks = 16384,
	.max_user_connections = LIMIT_USER_CONNECTIONS,
	.bounds.user_handshakes = 100,
	.bounds.user_requests = 1000,
	.bounds.address_connections = 4000,
	.bounds.address_handshakes = 1000,
	.bounds.address_requests = 1000,
	.bounds.bad_tokens = 100,
};

/* A budget of a user or an address, of which 0 lifts the bound. */
#define BUDGET(NAME, ENV, INITIAL, MEMBER, HELP) \
	DW_OPT_NUMBER, 0, NAME, "N", HELP, ENV, INITIAL, .target = &o.MEMBER, .max = DW_HTTP_BUDGET_MOST

static const struct dw_opt options[] = {
	{ DW_OPT_LIST, 0, "listen", "ADDR:PORT|wss://ADDR:PORT|unix:PATH",
		"serve clients here (wss: WebSockets alone, with TLS); may be repeated", "DIAGWS_LISTEN", "127.0.0.1:8000",
		.target = &o.listen },
	{ DW_OPT_TEXT, 'e', "hub", "URI", "the hub's socket", "DIAGWS_HUB", .target = &o.hub },
	{ DW_OPT_TEXT, 0, "keys", "DIR", "keys that tokens are checked against", "DIAGWS_KEYS", .target = &o.keys },
	{ DW_OPT_TEXT, 0, "issuer", "TEXT", "demand this iss in tokens", "DIAGWS_ISSUER", .target = &o.issuer },
	{ DW_OPT_TEXT, 0, "audience", "TEXT", "demand this aud in tokens", "DIAGWS_AUDIENCE", .target = &o.audience },
	{ DW_OPT_DURATION, 0, "leeway", "DUR", "clock difference allowed in tokens", "DIAGWS_LEEWAY", "0s",
		.target = &o.leeway_ms, .max = 30000 },
	{ DW_OPT_LIST, 0, "origin", "ORIGIN", "let browsers of this origin in ('*': all); may be repeated", "DIAGWS_ORIGIN",
		.target = &o.origins },
	{ DW_OPT_TEXT, 0, "www", "DIR", "serve the files of a web page", "DIAGWS_WWW", .target = &o.www },
	{ DW_OPT_TEXT, 0, "tls-cert", "FILE", "PEM certificate chain of the wss:// addresses", "DIAGWS_TLS_CERT",
		.target = &o.tls_cert },
	{ DW_OPT_TEXT, 0, "tls-key", "FILE", "its private key", "DIAGWS_TLS_KEY", .target = &o.tls_key },
	{ DW_OPT_FLAG, 0, "proxy-protocol", NULL, "each connection begins with a PROXY header, version 2",
		"DIAGWS_PROXY_PROTOCOL", .target = &o.proxied },
	{ DW_OPT_DURATION, 0, "drain-timeout", "DUR", "time to end in after SIGTERM", "DIAGWS_DRAIN_TIMEOUT", "30s",
		.target = &o.drain_ms, .max = 3600000 },
	{ DW_OPT_DURATION, 0, "slow-timeout", "DUR", "close a client that takes nothing for so long", "DIAGWS_SLOW_TIMEOUT",
		"30s", .target = &o.slow_ms, .min = 1000, .max = 3600000 },
	{ DW_OPT_NUMBER, 0, "max-connections", "N", "connections of clients at most", "DIAGWS_MAX_CONNECTIONS", "20000",
		.target = &o.max_connections, .min = 1, .max = 1000000 },
	{ DW_OPT_NUMBER, 0, "max-checks", "N", "tokens that may wait for the check of their signature", "DIAGWS_MAX_CHECKS",
		"16384", .target = &o.max_checks, .min = 1, .max = 1000000 },
	{ BUDGET("max-user-connections", "DIAGWS_MAX_USER_CONNECTIONS", "64", max_user_connections,
		"clients of one user at most (0: any number)") },
	{ BUDGET("max-user-handshakes", "DIAGWS_MAX_USER_HANDSHAKES", "100", bounds.user_handshakes,
		"new clients of one user a second") },
	{ BUDGET("max-user-requests", "DIAGWS_MAX_USER_REQUESTS", "1000", bounds.user_requests,
		"HTTP requests and WebSocket messages of one user a second; services may make more") },
	{ BUDGET("max-address-connections", "DIAGWS_MAX_ADDRESS_CONNECTIONS", "4000", bounds.address_connections,
		"clients of one address whose user is not known") },
	{ BUDGET("max-address-handshakes", "DIAGWS_MAX_ADDRESS_HANDSHAKES", "1000", bounds.address_handshakes,
		"new ones of them a second") },
	{ BUDGET("max-address-requests", "DIAGWS_MAX_ADDRESS_REQUESTS", "1000", bounds.address_requests,
		"HTTP requests without a token of one address a second") },
	{ BUDGET("max-bad-tokens", "DIAGWS_MAX_BAD_TOKENS", "100", bounds.bad_tokens,
		"tokens that are no good of one address a second") },
	{ DW_OPT_FLAG, 't', "test", NULL, "check the configuration and exit", .target = &o.check_only },
	{ 0 },
};

static const struct dw_opt *const groups[] = { options, dw_opt_daemon, dw_opt_common, NULL };

const struct dw_command edge_command = {
	.name = "diagws-edge",
	.summary = "serve WebSocket clients and the HTTP API, and relay to the hub",
	.usage = "[--listen ADDR:PORT]... [--hub URI] --keys DIR",
	.examples = "diagws-edge --keys /etc/diagws/keys --listen 0.0.0.0:8000",
	.groups = groups,
};

static int
check_listeners(struct dw_fault *fault)
{
	const bool certificate = o.tls_cert != NULL;
	bool tls = false;

	for (size_t i = 0; i < o.listen.count; i++) {
		int err = dw_http_listen_check(o.listen.item[i], &tls, fault);

		if (err != DW_OK)
			return err;
	}
	if (certificate != (o.tls_key != NULL))
		return dw_fault_set(fault, DW_E_CONFIG, "--tls-cert", "both --tls-cert and --tls-key, or neither",
			"'--tls-%s' is missing", certificate ? "key" : "cert");
	if (tls != certificate)
		return dw_fault_set(fault, DW_E_CONFIG, tls ? "--tls-cert" : "--listen",
			"--listen wss://ADDR:PORT together with --tls-cert and --tls-key",
			tls ? "'--tls-cert' is missing" : "a TLS certificate is given, but no '--listen wss://…' that uses it");
	return DW_OK;
}

int
options_check(struct edge_config *out, struct dw_fault *fault)
{
	static char endpoint[DW_PATH_SIZE], origins[DW_OPT_LIST_MAX][DW_HTTP_ORIGIN_SIZE];
	int err;

	if (o.hub == NULL) {
		dw_default_endpoint(false, endpoint);
		o.hub = endpoint;
	}
	if (o.keys == NULL)
		return dw_fault_set(fault, DW_E_CONFIG, "--keys", "a directory with key files", "option '--keys' is missing");
	err = check_listeners(fault);
	if (err == DW_OK)
		err = dw_http_origins_prepare(&o.origins, origins, fault);
	if (err == DW_OK)
		*out = o;
	return err;
}
