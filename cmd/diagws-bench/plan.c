/* Its own file because nothing here touches a connection.
 *
 * The rooms of a run have a name of their own unless one is given, so that nothing of another run is replayed in it.
 * Clients are spread evenly, those of a room side by side; 16 of a room are a user. Failure modes: a URL that is none,
 * a host that is unknown, a key or token file that cannot be used.
 */
#include "plan.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/paths.h"
#include "token/auth.h"

enum { TOKEN_FILE_MAX = 64 * 1024, TOKEN_LIFE_S = 24 * 3600, DATA_FIXED = 64 };

#define DEFAULT_BODY "{\"diagnosis_id\":\"{room}\",\"type\":\"bench_update\",\"data\":{data}}"

/* Clients of a room: first to before last. */
static uint32_t
first_of(const struct plan *plan, uint32_t room)
{
	return (uint32_t)(((uint64_t)room * plan->clients + plan->rooms - 1) / plan->rooms);
}

uint32_t
plan_room_of(const struct plan *plan, uint32_t client)
{
	return (uint32_t)((uint64_t)client * plan->rooms / plan->clients);
}

void
plan_room_name(const struct plan *plan, uint32_t room, char out[ROOM_BYTES])
{
	if (plan->rooms == 1)
		(void)snprintf(out, ROOM_BYTES, "%s", plan->name);
	else
		(void)snprintf(out, ROOM_BYTES, "%s-%u", plan->name, room);
}

static const char *
token_of(const struct plan *plan, uint32_t client)
{
	const uint32_t room = plan->clients > 0 ? plan_room_of(plan, client) : 0;

	if (plan->tokens == NULL)
		return plan->token != NULL ? plan->token : "";
	return plan->tokens[plan->first_user[room] + (client - first_of(plan, room)) / CLIENTS_OF_USER];
}

static void
add_number(struct dw_buf *out, uint64_t value)
{
	dw_buf_addu(out, value);
}

/* Appends the template's text up to the next name in braces, which is put into *name, and returns what is behind it;
 * NULL: there was none. */
static const char *
next_name(struct dw_buf *out, const char *text, struct dw_str *name)
{
	for (const char *open = text; (open = strchr(open, '{')) != NULL; open++) {
		const size_t n = strspn(open + 1, "abcdefghijklmnopqrstuvwxyz");

		if (n > 0 && open[1 + n] == '}') {
			dw_buf_add(out, text, (size_t)(open - text));
			*name = (struct dw_str) { open + 1, n };
			return open + n + 2;
		}
	}
	dw_buf_adds(out, text);
	return NULL;
}

void
plan_path(const struct plan *plan, struct dw_buf *out, uint32_t client, uint64_t after)
{
	const char *text = plan->ws.path, *rest;
	char room[ROOM_BYTES];
	struct dw_str name;
	bool told = after == UINT64_MAX;

	plan_room_name(plan, plan_room_of(plan, client), room);
	for (; (rest = next_name(out, text, &name)) != NULL; text = rest) {
		if (dw_str_is(name, "room")) {
			dw_buf_adds(out, room);
		} else if (dw_str_is(name, "client")) {
			add_number(out, client);
		} else if (dw_str_is(name, "token")) {
			dw_buf_adds(out, token_of(plan, client));
		} else if (dw_str_is(name, "after")) {
			add_number(out, after == UINT64_MAX ? 0 : after);
			told = true;
		} else {
			dw_buf_add(out, name.p - 1, name.n + 2);
		}
	}
	if (!told) {
		dw_buf_adds(out, strchr(plan->ws.path, '?') != NULL ? "&after=" : "?after=");
		add_number(out, after);
	}
}

void
plan_data(const struct plan *plan, struct dw_buf *out, uint64_t sent_ns, uint64_t number)
{
	const size_t begin = out->len, size = (size_t)plan->options->size;
	size_t used;

	dw_buf_addf(
		out, "{\"sent\":%llu,\"number\":%llu,\"fill\":\"", (unsigned long long)sent_ns, (unsigned long long)number);
	used = out->len - begin + 2;
	if (used < size)
		dw_buf_add(out, plan->fill, size - used);
	dw_buf_adds(out, "\"}");
}

static void
add_body(const struct plan *plan, struct dw_buf *out, uint32_t room, uint64_t sent_ns, uint64_t number)
{
	const char *text = plan->options->body != NULL ? plan->options->body : DEFAULT_BODY, *rest;
	char room_name[ROOM_BYTES];
	struct dw_str name;

	plan_room_name(plan, room, room_name);
	for (; (rest = next_name(out, text, &name)) != NULL; text = rest) {
		if (dw_str_is(name, "room"))
			dw_buf_adds(out, room_name);
		else if (dw_str_is(name, "data"))
			plan_data(plan, out, sent_ns, number);
		else
			dw_buf_add(out, name.p - 1, name.n + 2);
	}
}

void
plan_post(const struct plan *plan, struct dw_buf *out, uint32_t room, uint64_t sent_ns, uint64_t number)
{
	const char *text = plan->publish.path, *rest, *token;
	char room_name[ROOM_BYTES];
	struct dw_str name;
	struct dw_buf body;

	dw_buf_init(&body);
	add_body(plan, &body, room, sent_ns, number);
	plan_room_name(plan, room, room_name);
	dw_buf_adds(out, "POST ");
	for (; (rest = next_name(out, text, &name)) != NULL; text = rest) {
		if (dw_str_is(name, "room"))
			dw_buf_adds(out, room_name);
		else
			dw_buf_add(out, name.p - 1, name.n + 2);
	}
	dw_buf_addf(out, " HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n",
		plan->publish.host, body.len);
	token = plan->tokens != NULL ? plan->tokens[plan->first_user[room]] : plan->token;
	if (token != NULL) {
		dw_buf_adds(out, "Authorization: Bearer ");
		dw_buf_adds(out, token);
		dw_buf_adds(out, "\r\n");
	}
	dw_buf_adds(out, "\r\n");
	if (body.len > 0)
		dw_buf_add(out, body.data, body.len);
	out->failed = out->failed || body.failed;
	dw_buf_clear(&body);
}

/* scheme://HOST[:PORT][/PATH]; HOST may be [v6]. */
static int
read_url(struct target *target, const char *option, const char *url, const char *scheme, struct dw_fault *fault)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	const size_t n = strlen(scheme), host_n = strncmp(url, scheme, n) == 0 ? strcspn(url + n, "/?") : 0;
	char host[sizeof(target->host)], *port, *name = host;
	struct addrinfo *found = NULL;
	int result;

	if (host_n == 0 || host_n >= sizeof(host) || (url[n + host_n] != '/' && url[n + host_n] != '\0'))
		return dw_fault_set(
			fault, DW_E_USAGE, option, NULL, "option '--%s': '%.60s' is not %sHOST:PORT/PATH", option, url, scheme);
	(void)dw_str_copy((struct dw_str) { url + n, host_n }, target->host, sizeof(target->host));
	memcpy(host, target->host, sizeof(host));
	target->path = url[n + host_n] == '/' ? url + n + host_n : "/";
	port = strrchr(host, ':');
	if (port != NULL && strchr(port, ']') == NULL)
		*port++ = '\0';
	else
		port = NULL;
	if (host[0] == '[' && host[strlen(host) - 1] == ']') {
		host[strlen(host) - 1] = '\0';
		name++;
	}
	result = getaddrinfo(name, port != NULL ? port : "80", &hints, &found);
	if (result != 0)
		return dw_fault_set(fault, DW_E_HUB_AWAY, option, NULL, "option '--%s': host '%.100s': %s", option,
			target->host, gai_strerror(result));
	memcpy(&target->address, found->ai_addr, found->ai_addrlen);
	target->size = found->ai_addrlen;
	freeaddrinfo(found);
	return DW_OK;
}

/* One address of ours has only so many ports, of which others need some too. */
static void
choose_sources(struct plan *plan)
{
	const struct sockaddr_in *address = (const struct sockaddr_in *)&plan->ws.address;
	unsigned long from = 32768, to = 60999;
	FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
	char line[64], *end;

	if (file != NULL) {
		if (fgets(line, sizeof(line), file) != NULL) {
			from = strtoul(line, &end, 10);
			to = strtoul(end, NULL, 10);
		}
		(void)fclose(file);
	}
	plan->of_source = to > from ? (uint32_t)(to - from) / 2 + 1 : 1;
	if (plan->clients > plan->of_source && address->sin_family == AF_INET &&
		ntohl(address->sin_addr.s_addr) >> 24 == 127)
		plan->sources = plan->clients / plan->of_source + 1;
}

static int
mint_tokens(struct plan *plan, struct dw_fault *fault)
{
	const uint64_t now_s = dw_now_ms() / 1000;
	const uint64_t users = plan->first_user[plan->rooms];
	uint32_t room = 0;
	int err = DW_OK;

	plan->tokens = calloc(users + 1, sizeof(*plan->tokens));
	if (plan->tokens == NULL)
		return DW_E_NOMEM;
	for (uint64_t i = 0; i < users && err == DW_OK; i++) {
		char user[32], name[ROOM_BYTES];
		const char *const diagnoses = name;
		const struct dw_mint mint = {
			.key_file = plan->options->key_file,
			.user = user,
			.issued_s = now_s,
			.expires_s = now_s + TOKEN_LIFE_S,
			.scope = "publish",
			.diagnoses = &diagnoses,
			.diagnoses_count = 1,
		};
		struct dw_buf token;

		while (i >= plan->first_user[room + 1])
			room++;
		plan_room_name(plan, room, name);
		(void)snprintf(user, sizeof(user), "bench-%llu", (unsigned long long)i);
		dw_buf_init(&token);
		err = dw_auth_mint(&mint, &token, fault);
		plan->tokens[i] = token.data;
	}
	return err;
}

static int
read_token(struct plan *plan, struct dw_fault *fault)
{
	size_t n;
	int err = dw_read_file(plan->options->token_file, TOKEN_FILE_MAX, &plan->token, &n, fault);

	if (err == DW_OK)
		plan->token[strcspn(plan->token, " \t\r\n")] = '\0';
	return err;
}

static int
count_users(struct plan *plan)
{
	plan->first_user = calloc((size_t)plan->rooms + 1, sizeof(*plan->first_user));
	if (plan->first_user == NULL)
		return DW_E_NOMEM;
	for (uint32_t i = 0; i < plan->rooms; i++) {
		const uint32_t clients = first_of(plan, i + 1) - first_of(plan, i);

		/* A room without clients has a sender. */
		plan->first_user[i + 1] =
			plan->first_user[i] + (clients + CLIENTS_OF_USER - 1) / CLIENTS_OF_USER + (clients == 0);
	}
	return DW_OK;
}

int
plan_init(struct plan *plan, const struct options *options, struct dw_fault *fault)
{
	int err;

	*plan =
		(struct plan) { .options = options, .clients = (uint32_t)options->clients, .rooms = (uint32_t)options->rooms };
	plan->run = dw_random();
	if (options->name != NULL)
		(void)snprintf(plan->name, sizeof(plan->name), "%s", options->name);
	else
		(void)snprintf(plan->name, sizeof(plan->name), "bench-%08x", (unsigned)(plan->run >> 32));
	plan->fill = malloc((size_t)options->size);
	if (plan->fill == NULL)
		return DW_E_NOMEM;
	memset(plan->fill, 'x', (size_t)options->size);
	err = count_users(plan);
	if (err == DW_OK && plan->clients > 0)
		err = read_url(&plan->ws, "ws", options->ws, "ws://", fault);
	if (err == DW_OK && options->publish != NULL)
		err = read_url(&plan->publish, "publish", options->publish, "http://", fault);
	if (err == DW_OK && options->key_file != NULL)
		err = mint_tokens(plan, fault);
	if (err == DW_OK && options->token_file != NULL)
		err = read_token(plan, fault);
	if (err == DW_OK)
		choose_sources(plan);
	return err;
}

void
plan_clear(struct plan *plan)
{
	const uint64_t users = plan->tokens != NULL ? plan->first_user[plan->rooms] : 0;

	for (uint64_t i = 0; i < users; i++) {
		if (plan->tokens[i] != NULL)
			explicit_bzero(plan->tokens[i], strlen(plan->tokens[i]));
		free(plan->tokens[i]);
	}
	free(plan->tokens);
	free(plan->first_user);
	free(plan->token);
	free(plan->fill);
	*plan = (struct plan) { 0 };
}
