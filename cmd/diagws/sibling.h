/* Where the other commands of diagws are. */
#ifndef SIBLING_H
#define SIBLING_H

#include "base/paths.h"

/* The program diagws-NAME: beside this one, else by PATH. */
void sibling_path(const char *name, char out[DW_PATH_SIZE]);

#endif
