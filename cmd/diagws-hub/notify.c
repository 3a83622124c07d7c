/* What systemd wants to hear: ready, stopping, alive. Its own file because only it includes libsystemd.
 * Without systemd (no NOTIFY_SOCKET) each is a no-op.
 */
#include "hub.h"

#include <systemd/sd-daemon.h>

void
notify_ready(void)
{
	(void)sd_notify(0, "READY=1");
}

void
notify_stopping(void)
{
	(void)sd_notify(0, "STOPPING=1");
}

void
notify_alive(void)
{
	(void)sd_notify(0, "WATCHDOG=1");
}
