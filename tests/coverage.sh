#!/bin/sh
# Line coverage by the unit tests alone, of what is made to be driven without sockets: for each folder its files and what
# they come to together.
# usage: tests/coverage.sh BUILD [FOLDER...]    BUILD was built with --coverage, and its unit tests have run (make coverage)
set -eu

build=$1
shift
[ $# -gt 0 ] || set -- cmd/diagws-edge/room cmd/diagws-edge/client cmd/diagws-hub/rooms cmd/diagws-hub/handle

# gcov tells of an object each file that it was made of, headers too: "File 'x'", then "Lines executed:75.00% of 8".
for folder in "$@"; do
	for source in "$folder"/*.c; do
		gcov -n "$build/${source%.c}.o" 2>/dev/null | awk -F "[':% ]" -v source="$source" '
			/^File / { ours = $3 == source }
			/^Lines executed:/ && ours { print source, $3, $6; ours = 0 }'
	done | awk -v folder="$folder" '
		{ printf "%6.1f %%  %5d  %s\n", $2, $3, $1; done += $2 * $3 / 100; lines += $3 }
		END { printf "%6.1f %%  %5d  %s/\n", (lines > 0) ? 100 * done / lines : 0, lines, folder }'
done
