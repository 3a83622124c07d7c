/* The options, which options.c completes and everybody reads, and what a run is made of, worked out from them before it
 * starts: which client is in which room and whose token it has, the names, the addresses, and the texts that are sent.
 * Each client has a seat in a room; a run without clients has one in each room, for its sender's token.
 */
#ifndef BENCH_PLAN_H
#define BENCH_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/err.h"
#include "cli/opt.h"

struct options {
	const char *ws, *publish, *body, *key_file, *token_file, *ready, *until, *name;
	int64_t clients, rooms, size, messages, duration_ms, burst, rate, concurrency, senders, window, missed, warm_up;
	struct dw_opt_list processes;
	bool no_confirm, spin, json;
};

/* Subcommands, as bits. */
enum { FANOUT = 1, LATENCY = 2, CONNECT = 4, STORM = 8, PUBLISH = 16, MEMORY = 32, ALL = 63 };

extern const struct dw_command bench_command;

extern struct options bench_options;

/* Completes the options for this subcommand. DW_E_USAGE: they do not go with it, which has been told. */
int check_options(const char *name, unsigned verb);

enum { DATA_MIN = 64, NAME_BYTES = 48, ROOM_BYTES = 64 };

struct target {
	struct sockaddr_storage address;
	socklen_t size;
	char host[256];   /* HOST:PORT, as in the URL */
	const char *path; /* from its slash; in the option's text */
};

struct plan {
	char name[NAME_BYTES]; /* of the rooms */
	uint64_t run;          /* random: in the ids of its messages */
	uint32_t clients, rooms, seats;
	char **tokens;             /* of each seat; NULL: no tokens, or the one */
	char *token;               /* --token-file; NULL: none */
	struct target ws, publish; /* publish.path NULL: through the hub's socket */
	uint32_t of_source;        /* so many clients have the same own address 127.0.0.x; 0: the system chooses */
};

/* DW_E_USAGE, DW_E_FIELD, DW_E_NOINPUT, DW_E_CONFIG, DW_E_HUB_AWAY (unknown host), DW_E_NOMEM. To be cleared also then.
 */
int plan_init(struct plan *plan, struct dw_fault *fault);
void plan_clear(struct plan *plan);

uint32_t plan_room_of(const struct plan *plan, uint32_t client);
void plan_room_name(const struct plan *plan, uint32_t room, char out[ROOM_BYTES]);
/* Appends the path that a client connects to; after: the position it returns with, or UINT64_MAX. */
void plan_path(const struct plan *plan, struct dw_buf *out, uint32_t client, uint64_t after);
/* Appends a message's data: a JSON object of --size bytes. */
void plan_data(struct dw_buf *out, uint64_t sent_ns, uint64_t number);
/* Appends a POST. */
void plan_post(const struct plan *plan, struct dw_buf *out, uint32_t room, uint64_t sent_ns, uint64_t number);

#endif
