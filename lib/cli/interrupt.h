/* What a command makes of the signals and streams it was started with: the first SIGINT as something to poll
 * for, so that it can stop reading, wait for its answers and go (the second one ends the process as
 * usual), and standard streams that were closed.
 */
#ifndef DIAGWS_INTERRUPT_H
#define DIAGWS_INTERRUPT_H

#include <stdbool.h>

enum { DW_EXIT_INTERRUPTED = 130 }; /* the exit status of a command that SIGINT ended early */

/* Fills standard streams that are closed with something that fails when it is used, so that no socket
 * takes their numbers. To be called first. */
void dw_hold_streams(void);
/* To be called before other threads start. A SIGINT that was ignored at the start (a job in the background) stays
 * ignored. Returns a descriptor that becomes readable, or -1 (then SIGINT works as
 * usual). Once for a process. */
int dw_interrupt_fd(void);
/* Whether SIGINT has come; once it has, the next one ends the process. */
bool dw_interrupted(void);
/* poll(2) for reading on up to two descriptors (-1: none) and for SIGINT; timeout_ms -1: for ever.
 * Whether `input` is to be read: readable, ended or broken. */
bool dw_interrupt_wait(int input, int other, int timeout_ms);

#endif
