/* How large what we keep for a client is: name, bytes, where. For the table of tests/bench/RESULTS.md. */
#include <stdio.h>

#include "../../cmd/diagws-edge/client/conn.h"
#include "../../cmd/diagws-edge/room/rooms.h"
#include "room/room.h"

#define SAY(type, part) (void)printf("%s\t%zu\t%s\n", #type, sizeof(type), part)

int
main(void)
{
	SAY(struct conn, "edge, a connection: its first subscription lies in it");
	SAY(struct subscription, "edge, a room on a connection");
	SAY(struct room, "edge, a room");
	SAY(struct dw_session, "hub, a connection in a room");
	SAY(struct dw_device, "hub, a device in a room, and its id");
	SAY(struct dw_member, "hub, a user in a room, and its name");
	SAY(struct dw_reader, "hub, an edge in a room");
	SAY(struct dw_room, "hub, a room");
	return 0;
}
