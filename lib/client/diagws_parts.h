/* What the files of libdiagws share: the handle, and the way a call fails. */
#ifndef DIAGWS_PARTS_H
#define DIAGWS_PARTS_H

#include <locale.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "client/client.h"
#include "diagws.h"
#include "message/msg.h"

/* A diagws_how, checked. */
struct dw_diagws_how {
	char id[DW_ID_MAX + 1];
	char to[DW_USER_MAX + 1];
	uint64_t except, ttl_ms, wait, wait_ms;
};

struct diagws {
	struct dw_client *client;
	struct dw_buf built;   /* data that a call puts together */
	struct dw_buf compact; /* the same, checked */
	struct dw_fault fault;
	struct dw_diagws_how next; /* of the next message */
	locale_t plain;            /* JSON has a point in its numbers, whatever the program's locale has */
	bool in_callback;          /* waiting is not possible */
	bool closing;              /* callbacks are not called any more */
};

/* Keeps what is wrong (the fault that was filled, else the error's own text) and returns err. */
int dw_diagws_fail(struct diagws *d, int err);
/* "field 'FIELD': what": returns DIAGWS_INVALID. */
int dw_diagws_refuse(struct diagws *d, const char *field, const char *expected, const char *what);

#endif
