/* Finds the other commands, so that a build that was not installed uses its own. Its own file because running a command
 * (main.c) and starting a child (children.c) look in the same place.
 */
#include "sibling.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

void
sibling_path(const char *name, char out[DW_PATH_SIZE])
{
	char self[DW_PATH_SIZE - 64];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	if (slash != NULL)
		*slash = '\0';
	(void)snprintf(out, DW_PATH_SIZE, "%s/diagws-%s", self, name);
	if (access(out, X_OK) != 0)
		(void)snprintf(out, DW_PATH_SIZE, "diagws-%s", name);
}
