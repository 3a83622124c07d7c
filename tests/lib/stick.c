/* Lets a process get stuck at SIGUSR1, when preloaded into it: its main thread spins for ever, the others go on. */
#include <signal.h>

static void
spin(int number)
{
	(void)number;
	for (;;)
		continue;
}

__attribute__((constructor)) static void
prepare(void)
{
	(void)signal(SIGUSR1, spin);
}
