/* A service that embeds libdiagws: one update that is waited for, then a thousand that are not.
 *
 *   cc embed.c $(pkg-config --cflags --libs diagws) -o embed
 *   ./embed 123                      (endpoint: $DIAGWS_HUB, or the default)
 */
#include <diagws.h>
#include <stdio.h>
#include <string.h>

static int failures;

static void
done(void *user, int err, const struct diagws_receipt *receipt)
{
	(void)user;
	if (err != 0) {
		fprintf(stderr, "not stored: %s; send it again with id %s\n", diagws_strerror(err), receipt->id);
		failures++;
	}
}

int
main(int argc, char **argv)
{
	const char *diagnosis = argc > 1 ? argv[1] : "123";
	const char *note = "{\"text\":\"from a C service\"}";
	struct diagws_receipt receipt;
	struct diagws_room room;
	struct diagws *d;
	int err;

	err = diagws_open(&d, NULL, NULL);
	if (err != 0) {
		fprintf(stderr, "embed: %s\n", diagws_strerror(err));
		return 1;
	}
	err = diagws_broadcast_effectiveness_update(d, diagnosis, 789, 0.85, 0.92, 150, &receipt);
	if (err == 0)
		printf("stored as seq %llu, %llu clients told, %llu devices get it later\n", (unsigned long long)receipt.seq,
			(unsigned long long)receipt.clients_notified, (unsigned long long)receipt.devices_queued);
	for (int i = 0; err == 0 && i < 1000; i++)
		err = diagws_send(d, diagnosis, "note_update", note, strlen(note), NULL, done, NULL);
	if (err == 0)
		err = diagws_flush(d);
	if (err == 0)
		err = diagws_room_info(d, diagnosis, &room);
	if (err == 0)
		printf("room: n %llu, retained %llu\n", (unsigned long long)room.n, (unsigned long long)room.retained);
	else
		fprintf(stderr, "embed: %s: %s\n", diagws_strerror(err), diagws_last_error(d));
	diagws_close(&d);
	return err != 0 || failures > 0;
}
