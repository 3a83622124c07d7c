/* What is asked of a client's socket itself.
 */
#ifndef SOCKET_H
#define SOCKET_H

#include <stdbool.h>
#include <stdint.h>

/* Bounds what the kernel holds for it. tcp: false for a unix socket. */
void socket_prepare(int fd, bool tcp);
/* Keeps what is written, until it is full segments or the kernel's 200 ms are over; or lets it go. TCP alone. */
void socket_cork(int fd, bool cork);
/* Changes with each byte that the other end's kernel takes. */
uint64_t socket_taken(int fd);
/* Ends the connection now; drop: closing it will drop what the kernel holds for it. */
void socket_cut(int fd, bool drop);

#endif
