/* GET /ws/status: totals for anyone; ids of diagnoses and users only for a token with the `stat` scope.
 */
#ifndef STATUS_H
#define STATUS_H

struct request;

void status_take(struct request *request);
/* The rest of GET /readyz: whether the hub can store. */
void status_take_ready(struct request *request);

#endif
