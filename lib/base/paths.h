/* Where things are by default: the hub's socket and its state.
 *
 * Endpoint: "ipc:///run/diagws/hub.sock" where that is there and may be used, else
 * "$XDG_RUNTIME_DIR/diagws/hub.sock", else "/tmp/diagws-$UID/hub.sock" (a directory of mode 0700
 * that is ours). For a hub, which makes the socket: /run/diagws when that directory may be written.
 * State: /var/lib/diagws when it is there and may be written, else "$XDG_STATE_HOME/diagws"
 * (else "~/.local/state/diagws").
 */
#ifndef DIAGWS_PATHS_H
#define DIAGWS_PATHS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum { DW_PATH_SIZE = 4096 };

void dw_default_endpoint(bool to_bind, char out[DW_PATH_SIZE]);
void dw_default_state_dir(char out[DW_PATH_SIZE]);
/* mkdir -p with this mode for what is made (the last component's mode is set exactly when made). */
int dw_make_dirs(const char *path, unsigned mode, struct dw_fault *fault);
/* Reads a whole file of at most `limit` bytes ("-": standard input) into a malloc'ed, NUL-terminated text that is
 * the caller's. DW_E_NOINPUT, DW_E_TOO_BIG, DW_E_NOMEM. */
int dw_read_file(const char *path, size_t limit, char **text, size_t *n, struct dw_fault *fault);

#endif
