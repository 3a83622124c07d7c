/* The one timer of a connection.
 */
#ifndef TIMERS_H
#define TIMERS_H

#include "base/wheel.h"

/* Does what is due, and sets it anew. May be called too early. */
void timers_fire(struct dw_wheel_timer *timer);

#endif
