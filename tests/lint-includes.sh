#!/usr/bin/env bash
# Each third-party header belongs to one library file, or to one command.
set -euo pipefail
cd "$(dirname "$0")/.."

fail=0
# header pattern, who may include it (a pattern over file names)
rules="
zmq\.h              lib/wire/bus\.c
msgpack\.h          lib/wire/msgpack\.c
jwt\.h              lib/token/auth\.c
jansson\.h  lib/json/json\.c
lmdb\.h             lib/store/kv/lmdb\.c
openssl/sha\.h      lib/base/clock\.c
microhttpd\.h       lib/http/.*
openssl/ssl\.h      cmd/diagws-edge/door/server\.c
openssl/[cep]       lib/token/signature\.c|cmd/diagws-edge/door/server\.c|cmd/diagws-edge/room/frame\.c|cmd/diagws-bench/client\.c
libwebsockets\.h    cmd/diagws-edge/.*
uv\.h               lib/http/.*|cmd/diagws-(edge|clinic)/.*
sqlite3\.h          cmd/diagws-clinic/.*
systemd/            lib/cli/notify\.c
getopt\.h           lib/cli/opt\.c
"
while read -r header owner; do
    [ -n "$header" ] || continue
    users=$(git grep -lE "^#include <.*($header)" -- lib cmd include | grep -vxE "$owner" || [ $? = 1 ])
    if [ -n "$users" ]; then
        echo "only $owner may include <$header>, but these do:" "$users" >&2
        fail=1
    fi
done <<<"$rules"

exit $fail
