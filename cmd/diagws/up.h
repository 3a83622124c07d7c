/* diagws up: a hub and edges for development. */
#ifndef UP_H
#define UP_H

#include "base/paths.h"

int up_main(int argc, char **argv);
/* The program diagws-NAME: beside this one, else by PATH. */
void sibling_path(const char *name, char out[DW_PATH_SIZE]);

#endif
