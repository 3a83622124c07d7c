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

enum { TOKEN_FILE_MAX = 64 * 1024, TOKEN_LIFE_S = 24 * 3600, CLIENTS_OF_USER = 16, NUMBER_BYTES = 24 };

#define DEFAULT_BODY "{\"diagnosis_id\":\"{room}\",\"type\":\"bench_update\",\"data\":{data}}"

static uint32_t
first_of(const struct plan *plan, uint32_t room)
{
	return (uint32_t)(((uint64_t)room * plan->seats + plan->rooms - 1) / plan->rooms);
}

uint32_t
plan_room_of(const struct plan *plan, uint32_t client)
{
	return (uint32_t)((uint64_t)client * plan->rooms / plan->seats);
}

void
plan_room_name(const struct plan *plan, uint32_t room, char out[ROOM_BYTES])
{
	if (plan->rooms == 1)
		(void)snprintf(out, ROOM_BYTES, "%s", plan->name);
	else
		(void)snprintf(out, ROOM_BYTES, "%s-%u", plan->name, room);
}

/* Empty where there is none. */
static struct dw_str
token_of(const struct plan *plan, uint32_t client)
{
	const char *token = plan->tokens != NULL ? plan->tokens[client] : plan->token;

	return dw_str(token != NULL ? token : "");
}

/* What is to stand for a name in braces. OTHER_BRACE ends a list: any other brace stays as it is. */
struct value {
	const char *name;
	struct dw_str text;
};

#define OTHER_BRACE      \
	{                    \
		"{", DW_STR("{") \
	}

static void
add_filled_in(struct dw_buf *out, const char *text, const struct value *values)
{
	for (const char *open; (open = strchr(text, '{')) != NULL;) {
		const struct value *value = values;

		while (value->name[1] != '\0' && strncmp(open, value->name, strlen(value->name)) != 0)
			value++;
		dw_buf_add(out, text, (size_t)(open - text));
		dw_buf_add(out, value->text.p, value->text.n);
		text = open + strlen(value->name);
	}
	dw_buf_adds(out, text);
}

void
plan_path(const struct plan *plan, struct dw_buf *out, uint32_t client, uint64_t after)
{
	const char *path = plan->ws.path;
	char room[ROOM_BYTES], number[NUMBER_BYTES], position[NUMBER_BYTES];

	plan_room_name(plan, plan_room_of(plan, client), room);
	(void)snprintf(number, sizeof(number), "%u", client);
	(void)snprintf(position, sizeof(position), "%llu", after == UINT64_MAX ? 0 : (unsigned long long)after);
	add_filled_in(out, path,
		(const struct value[]) { { "{room}", dw_str(room) }, { "{client}", dw_str(number) },
			{ "{token}", token_of(plan, client) }, { "{after}", dw_str(position) }, OTHER_BRACE });
	if (after != UINT64_MAX && strstr(path, "{after}") == NULL)
		dw_buf_addf(out, "%cafter=%s", strchr(path, '?') != NULL ? '&' : '?', position);
}

void
plan_data(struct dw_buf *out, uint64_t sent_ns, uint64_t number)
{
	const size_t end = out->len + (size_t)bench_options.size - 2;

	dw_buf_addf(
		out, "{\"sent\":%llu,\"number\":%llu,\"fill\":\"", (unsigned long long)sent_ns, (unsigned long long)number);
	if (out->len < end) {
		const size_t n = end - out->len;
		char *fill = dw_buf_room(out, n);

		if (fill != NULL) {
			memset(fill, 'x', n);
			dw_buf_grow(out, n);
		}
	}
	dw_buf_adds(out, "\"}");
}

void
plan_post(const struct plan *plan, struct dw_buf *out, uint32_t room, uint64_t sent_ns, uint64_t number)
{
	const char *form = bench_options.body != NULL ? bench_options.body : DEFAULT_BODY;
	const struct dw_str token = token_of(plan, first_of(plan, room));
	struct dw_buf data = { 0 }, body = { 0 };
	char name[ROOM_BYTES];

	plan_data(&data, sent_ns, number);
	plan_room_name(plan, room, name);
	add_filled_in(&body, form,
		(const struct value[]) {
			{ "{room}", dw_str(name) }, { "{data}", dw_bytes(data.data, data.len) }, OTHER_BRACE });
	dw_buf_adds(out, "POST ");
	add_filled_in(out, plan->publish.path, (const struct value[]) { { "{room}", dw_str(name) }, OTHER_BRACE });
	dw_buf_addf(out, " HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n",
		plan->publish.host, body.len);
	if (token.n > 0)
		dw_buf_addf(out, "Authorization: Bearer %s\r\n", token.p);
	dw_buf_adds(out, "\r\n");
	dw_buf_add(out, body.data, body.len);
	out->failed = out->failed || body.failed || data.failed;
	dw_buf_clear(&body);
	dw_buf_clear(&data);
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
	uint32_t ports;

	if (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		from = strtoul(line, &end, 10);
		to = strtoul(end, NULL, 10);
	}
	if (file != NULL)
		(void)fclose(file);
	ports = to > from ? (uint32_t)(to - from) / 2 + 1 : 1;
	if (plan->clients > ports && address->sin_family == AF_INET && ntohl(address->sin_addr.s_addr) >> 24 == 127)
		plan->of_source = ports;
}

static bool
begins_user(const struct plan *plan, uint32_t client)
{
	return (client - first_of(plan, plan_room_of(plan, client))) % CLIENTS_OF_USER == 0;
}

static int
mint_tokens(struct plan *plan, struct dw_fault *fault)
{
	const uint64_t now_s = dw_now_ms() / 1000;
	unsigned users = 0;
	int err = DW_OK;

	plan->tokens = calloc(plan->seats, sizeof(*plan->tokens));
	if (plan->tokens == NULL)
		return DW_E_NOMEM;
	for (uint32_t i = 0; i < plan->seats && err == DW_OK; i++) {
		char user[32], room[ROOM_BYTES];
		const char *const diagnoses = room;
		const struct dw_mint mint = {
			.key_file = bench_options.key_file,
			.user = user,
			.issued_s = now_s,
			.expires_s = now_s + TOKEN_LIFE_S,
			.scope = "publish",
			.diagnoses = &diagnoses,
			.diagnoses_count = 1,
		};
		struct dw_buf token = { 0 };

		if (!begins_user(plan, i)) {
			plan->tokens[i] = plan->tokens[i - 1];
			continue;
		}
		plan_room_name(plan, plan_room_of(plan, i), room);
		(void)snprintf(user, sizeof(user), "bench-%u", users++);
		err = dw_auth_mint(&mint, &token, fault);
		plan->tokens[i] = token.data;
	}
	return err;
}

static int
read_token(struct plan *plan, struct dw_fault *fault)
{
	size_t n;
	int err = dw_read_file(bench_options.token_file, TOKEN_FILE_MAX, &plan->token, &n, fault);

	if (err == DW_OK)
		plan->token[strcspn(plan->token, " \t\r\n")] = '\0';
	return err;
}

int
plan_init(struct plan *plan, struct dw_fault *fault)
{
	int err = DW_OK;

	*plan = (struct plan) { .run = dw_random(),
		.clients = (uint32_t)bench_options.clients,
		.rooms = (uint32_t)bench_options.rooms,
		.seats = (uint32_t)(bench_options.clients > 0 ? bench_options.clients : bench_options.rooms) };
	if (bench_options.name != NULL)
		(void)snprintf(plan->name, sizeof(plan->name), "%s", bench_options.name);
	else
		(void)snprintf(plan->name, sizeof(plan->name), "bench-%08x", (unsigned)(plan->run >> 32));
	if (plan->clients > 0)
		err = read_url(&plan->ws, "ws", bench_options.ws, "ws://", fault);
	if (err == DW_OK && bench_options.publish != NULL)
		err = read_url(&plan->publish, "publish", bench_options.publish, "http://", fault);
	if (err == DW_OK && bench_options.key_file != NULL)
		err = mint_tokens(plan, fault);
	if (err == DW_OK && bench_options.token_file != NULL)
		err = read_token(plan, fault);
	if (err == DW_OK)
		choose_sources(plan);
	return err;
}

void
plan_clear(struct plan *plan)
{
	for (uint32_t i = 0; plan->tokens != NULL && i < plan->seats; i++) {
		if (begins_user(plan, i))
			free(plan->tokens[i]);
	}
	free(plan->tokens);
	free(plan->token);
	*plan = (struct plan) { 0 };
}
