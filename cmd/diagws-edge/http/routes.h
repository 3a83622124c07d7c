/* The edge's HTTP calls.
 */
#ifndef ROUTES_H
#define ROUTES_H

#include "http/route.h"

extern const struct route edge_routes[];

#endif
