/* diagws up: a hub and edges for development. */
#ifndef UP_H
#define UP_H

int up_main(int argc, char **argv);

#endif
