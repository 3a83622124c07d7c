/* Requests that wait at the hub for more than its answer: for devices, for the next message.
 *
 * They are counted: so many of one user, so many in all, for each holds a connection and a place among the hub's
 * requests of this edge. One whose client left still counts until the hub is done with it: leaving and coming again
 * gains nothing.
 */
#ifndef WAIT_H
#define WAIT_H

#include <stdbool.h>
#include <stdint.h>

struct edge;
struct request;

/* The request is going to wait at the hub. DW_E_RATE: too many of this user do; DW_E_BUSY: too many in all;
 * DW_E_CLOSING, DW_E_NOMEM. */
int wait_begin(struct request *request, uint64_t wait_ms);
/* The hub has answered, or the client left. */
void wait_end(struct request *request, bool answered);
/* The edge is going to end: those who wait are answered now (503). */
void wait_drain(struct edge *edge);
/* It ends. */
void wait_clear(struct edge *edge);

#endif
