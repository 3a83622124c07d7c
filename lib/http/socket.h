/* What is asked of a client's socket itself.
 */
#ifndef DIAGWS_HTTP_SOCKET_H
#define DIAGWS_HTTP_SOCKET_H

#include <stdbool.h>
#include <stdint.h>

/* Bounds what the kernel holds for it. tcp: false for a unix socket. */
void dw_http_socket_prepare(int fd, bool tcp);
/* Keeps what is written, until it is full segments or the kernel's 200 ms are over; or lets it go. TCP alone. */
void dw_http_socket_cork(int fd, bool cork);
/* Changes with each byte that the other end's kernel takes. */
uint64_t dw_http_socket_taken(int fd);
/* Whether there is some that it has not taken. */
bool dw_http_socket_owes(int fd);
/* Lets the kernel hold all that it may: what was bounded before is to leave the process. */
void dw_http_socket_widen(int fd);
/* Reads what is there, a bounded part at a time, and drops it. False: the other end has ended the connection. */
bool dw_http_socket_discard(int fd);
/* Whether the other end has ended the connection, and all that it sent was read. */
bool dw_http_socket_ended(int fd);
/* Ends the connection now, without what the other end's kernel has not taken. */
void dw_http_socket_cut(int fd);

#endif
