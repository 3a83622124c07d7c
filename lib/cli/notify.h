/* What a daemon tells the service manager that started it (sd_notify(3)): that it is ready, ends, is alive.
 *
 * Nothing here waits, and nothing fails: where there is no manager, nothing is said. A state for which the manager's
 * queue has no room is said again by dw_notify_alive, and the last one counts.
 */
#ifndef DIAGWS_NOTIFY_H
#define DIAGWS_NOTIFY_H

#include <stdint.h>

/* "READY=1" or "STOPPING=1"; a string that stays. */
void dw_notify(const char *state);

/* To be called in each turn of the main loop, and from nowhere else: a loop that hangs or spins then says nothing, and
 * the manager ends it. Says "WATCHDOG=1" three times within what the manager set (WATCHDOG_USEC, for this process by
 * WATCHDOG_PID), and returns when it wants to be called again (dw_mono_ms); UINT64_MAX where nobody listens. */
uint64_t dw_notify_alive(uint64_t now_ms);

#endif
