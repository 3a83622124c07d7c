/* What the files of diagws share: where the other commands are, the processes of diagws up with their watchdog
 * (children.c), and the ports of its edges (ports.c).
 *
 * A process is named by its place, in the order of their start. diagws up has no other children than these and those of
 * children_run. What could not be started has been told.
 */
#ifndef UP_H
#define UP_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/paths.h"

enum { CHILDREN_MAX = 17, FOLDER_SIZE = DW_PATH_SIZE - 64 };

int up_main(int argc, char **argv);

/* Where this program lies. */
void own_folder(char out[FOLDER_SIZE]);
/* The program diagws-NAME: beside this one, so that a build that was not installed uses its own, else by PATH. */
void sibling_path(const char *name, char out[DW_PATH_SIZE]);

/* Once, before all else: the signals of a child are `mask`; one that says nothing for watchdog_ms is stuck, 0: none
 * ever is. DW_OK or DW_E_NOMEM (errno). */
int children_init(const sigset_t *mask, int64_t watchdog_ms);

/* Starts diagws-NAME, which is to stay; both are copied but for the name. DW_OK or DW_E_NOMEM. */
int children_start(const char *name, const char *const *arguments);

/* Runs diagws-NAME to its end; what it prints goes to out[size] when size is not 0. DW_OK when it succeeded, DW_E_NOMEM
 * when it could not be started, else DW_E_UNSUPPORTED: it has said why. */
int children_run(const char *name, const char *const *arguments, char *out, size_t size);

int children_pid(size_t place); /* 0: no such, or it has ended */

/* The name of one that has ended by itself, or NULL; each is named once. */
const char *children_find_dead(void);

/* Waits for one of the signals, which it returns. Meanwhile what the children say is heard, and one that is stuck is
 * ended and started anew, with a line on stderr. SIGCHLD must be among the signals. */
int children_watch(const sigset_t *signals);

/* Ends all: the first one last, so that the others can still tell it where they stand. */
void children_end(void);

/* The next port from `from` on that nobody has, or 0. It stays claimed against other runs of diagws up until this
 * process ends. */
int claim_port(int from);
/* Whether an edge on this port says that it can serve. */
bool is_ready(int port);

#endif
