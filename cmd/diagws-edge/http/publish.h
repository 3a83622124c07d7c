/* The four calls that publish.
 */
#ifndef PUBLISH_H
#define PUBLISH_H

struct request;

/* The body is there. */
void publish_take(struct request *request);

#endif
