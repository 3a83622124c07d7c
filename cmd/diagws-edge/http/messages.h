/* GET /ws/messages/{diagnosis_id}.
 */
#ifndef MESSAGES_H
#define MESSAGES_H

struct request;

void messages_take(struct request *request);

#endif
