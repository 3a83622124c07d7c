/* The steps of a history, and what they share; see harness.c. */
#ifndef HARNESS_H
#define HARNESS_H

#include "sim.h"

enum { TEXT = 64, IDS = 512 };

/* A message by its name. */
struct sent {
	char id[TEXT], room[TEXT], to[TEXT], text[TEXT];
	uint64_t seq, ttl_s, size, except;
};

/* One world. */
struct world {
	struct sim_config config;
	char base[200], first_epoch[40];
	struct sent sents[IDS];
	size_t sent_count;
	int edge_count;
	bool stopped[SIM_EDGES], away[SIM_EDGES];
};

extern struct world world;

/* ---- harness.c: the words of the step that is carried out */

const char *word(size_t i); /* "" where there are not so many */
size_t words_given(void);
const char *option(const char *name); /* what follows NAME=, or NULL */
uint64_t number_option(const char *name, uint64_t otherwise);
bool flag(const char *name);
int edge_of(const char *text); /* -1: there is none */
bool is_there(int edge);       /* it runs, and has a line to the hub */
struct sent *find_sent(const char *id);
void noop(void);

/* Until nothing is left to do. */
void settle(void);
/* What the links to the hub do ten times a second, among it telling what was confirmed. */
void tick_links(void);
void pass(uint64_t ms);
void say_time(void);
void say_epoch(void);

/* ---- harness_hub.c: the hub, its store, senders, owners, edges */

void senders_begin(void);
void senders_alive(void);
void start_hub(void);
void remove_stores(void);
void do_send(void);
void do_receipts(void);
void do_grant(void);
void do_revoke(void);
void do_deny(void);
void do_crash(void);
void do_restart(void);
void do_backup(void);
void do_restore(void);
void do_return(void);
void do_stop(void);
void do_cont(void);
void do_kill(void);

/* ---- harness_client.c: clients and polls */

void do_open(void);
void do_sub(void);
void do_unsub(void);
void do_pong(void);
void do_ack(void);
void do_close(void);
void do_freeze(void);
void do_thaw(void);
void do_poll(void);
void do_wait(void);

#endif
