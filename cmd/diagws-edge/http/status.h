/* GET /ws/status: totals for anyone; ids of diagnoses and users only for a token with the `stat` scope.
 */
#ifndef STATUS_H
#define STATUS_H

struct edge;
struct request;

void status_take(struct request *request);
/* At the end, when nothing is asked any more. */
void status_clear(struct edge *edge);

#endif
