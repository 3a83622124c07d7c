/* Functions that overrun buffers or keep hidden state: using one does not compile. The Makefile
 * includes this file into every source. Nor does a hash table end its process in silence. */
#ifndef DIAGWS_BANNED_H
#define DIAGWS_BANNED_H

#include <stdio.h>
#include <string.h>

#define uthash_fatal(message) (fputs("out of memory [DW1001]\n", stderr), exit(75))

#pragma GCC poison strcpy strcat sprintf vsprintf gets strtok

#endif
