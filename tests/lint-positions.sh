#!/usr/bin/env bash
# Positions are made by the calls of lib/message/position.h and by nothing else: nobody names their members or
# writes one down; and who takes one as it was said must have a reason.
set -euo pipefail
cd "$(dirname "$0")/.."

home=lib/message/position.h
fail=0

# What is wrong, the files that may (a pattern), and what they may (another).
forbid() {
    local why=$1 but=$2 pattern=$3 found
    found=$(git grep -nP "$pattern" -- '*.c' '*.h' | grep -vE "^($but):" || [ $? = 1 ])
    if [ -n "$found" ]; then
        printf '%s:\n%s\n' "$why" "$found" >&2
        fail=1
    fi
}

forbid "only $home may name the members of a position" "$home" '(\.|->)\s*(seq_|n_|own_)\b'
forbid "only $home may write a position down" "$home" 'struct\s+dw_position\s*\)\s*\{'
forbid "only $home may write a position down" "$home" 'struct\s+dw_position\s+\w+(\[\w*\])?\s*=\s*\{'

# Who has one from somebody who knew it, and from whom. Tests say what they like.
said='
cmd/diagws-edge/client/confirm.c   an entry of the ring: the hub
cmd/diagws-edge/room/frame.c     a PONG
cmd/diagws-edge/http/messages.c  a client that polls: only its seq is looked at
cmd/diagws-edge/client/subscription.c  a client that joins: only its seq is looked at
cmd/diagws-hub/handle/on_read.c    the room, at its head
cmd/diagws-hub/rooms/question.c    the engine
lib/room/join.c             the room and the engine, at one seq; the room, at its head
lib/room/read.c             the room, at its head
'
files=$(awk 'NF { print $1 }' <<<"$said")
forbid "dw_position_said needs a reason (tests/lint-positions.sh)" \
    "$home|tests/.*|$(paste -sd '|' <<<"${files//./\\.}")" 'dw_position_said\b'
for file in $files; do
    if ! git grep -qw dw_position_said -- "$file"; then
        echo "$file takes no position as said any more: its line in tests/lint-positions.sh can go" >&2
        fail=1
    fi
done
exit $fail
