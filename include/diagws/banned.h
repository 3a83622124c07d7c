/* Functions that overrun buffers or keep hidden state: using one does not compile. The Makefile
 * includes this file into every source. */
#ifndef DIAGWS_BANNED_H
#define DIAGWS_BANNED_H

#include <stdio.h>
#include <string.h>

#pragma GCC poison strcpy strcat sprintf vsprintf gets strtok

#endif
