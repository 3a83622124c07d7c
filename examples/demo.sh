#!/usr/bin/env bash
# The main job of diagws, on real processes: a hub, two edges, a client that watches, a stranger, an
# update from a shell pipe; then the client goes, the hub is killed with SIGKILL, and still nothing is
# lost. `make demo` runs it; it is also a script to read. Exits non-zero when any step fails.
set -euo pipefail

examples=$(cd "$(dirname "$0")" && pwd)
bin=${DIAGWS_BIN:-$examples/../build/bin}
PATH=$bin:$PATH
dir=$(mktemp -d)
export DIAGWS_HUB=ipc://$dir/hub.sock
pids=()

finish() {
    status=$?
    trap - EXIT
    [ $status = 0 ] || { echo "demo: failed; what the processes said:"; tail -n 5 "$dir"/*.log; } >&2
    [ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>"$dir/kill" || echo "(some had ended)" >"$dir/ended"
    wait
    rm -rf "$dir"
    exit $status
}
trap finish EXIT

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
run() { printf '  $ %s\n' "$*"; "$@"; }

# until CONDITION…: tries for at most ten seconds.
until_true() {
    for _ in $(seq 200); do
        "$@" && return
        sleep 0.05
    done
    echo "demo: gave up waiting for: $*" >&2
    return 1
}

ready() { curl -fsS -o "$dir/curl" "http://127.0.0.1:$1/readyz" 2>"$dir/curl.err"; }
lines() { [ "$(grep -c "$1" "$2")" -ge "$3" ]; }
free_port() { /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

start_hub() {
    diagws-hub --bind "$DIAGWS_HUB" --state-dir "$dir/state" 2>>"$dir/hub.log" &
    hub=$!
    pids+=("$hub")
}

say "1. A hub, and two edges in front of it"
mkdir -m 700 "$dir/keys"
(umask 077 && openssl rand -hex 32 >"$dir/keys/demo.hs256")
start_hub
ports=()
for _ in 1 2; do
    port=$(free_port)
    ports+=("$port")
    diagws-edge --listen "127.0.0.1:$port" --keys "$dir/keys" 2>>"$dir/edge-$port.log" &
    pids+=($!)
done
for port in "${ports[@]}"; do
    until_true ready "$port"
    echo "  edge ready on http://127.0.0.1:$port"
done

say "2. Alice may watch diagnosis 123; a stranger may not"
run diagws-owner grant 123 alice
diagws-token mint --key-file "$dir/keys/demo.hs256" --sub alice >"$dir/alice.token"
diagws-token mint --key-file "$dir/keys/demo.hs256" --sub mallory >"$dir/mallory.token"
status=0
"$examples/watch.py" "ws://127.0.0.1:${ports[0]}/ws/123" --token-file "$dir/mallory.token" \
    >"$dir/mallory.out" 2>"$dir/mallory.err" || status=$?
[ $status = 2 ] && grep -q '^closed: 1008 access denied$' "$dir/mallory.err"
echo "  mallory: $(cat "$dir/mallory.err")"

say "3. Alice watches on her phone; an update comes out of a shell pipe"
"$examples/watch.py" "ws://127.0.0.1:${ports[0]}/ws/123" --token-file "$dir/alice.token" --device phone \
    >"$dir/alice.out" 2>"$dir/alice.err" &
client=$!
pids+=("$client")
until_true lines '"type":"connect"' "$dir/alice.out" 1
update='{"recommendation_id":789,"new_effectiveness":0.85,"confidence":0.92,"sample_size":150}'
echo "  \$ echo '$update' | diagws-send effectiveness 123"
echo "$update" | diagws-send effectiveness 123
until_true lines effectiveness_update "$dir/alice.out" 1
echo "  alice: $(grep effectiveness_update "$dir/alice.out")"
confirmed() { diagws-stat devices 123 --json | grep -q '"behind": *0'; }
until_true confirmed

say "4. Alice's phone goes away; three updates are sent; the hub is killed with SIGKILL"
kill "$client"
wait "$client" || true
for sample in 151 152 153; do
    update="{\"recommendation_id\":789,\"new_effectiveness\":0.86,\"confidence\":0.92,\"sample_size\":$sample}"
    echo "  \$ echo '$update' | diagws-send effectiveness 123"
    echo "$update" | diagws-send effectiveness 123
done
kill -KILL "$hub"
{ wait "$hub"; } 2>"$dir/wait" || echo "  the hub is dead"
start_hub
for port in "${ports[@]}"; do until_true ready "$port"; done
echo "  and there is a new one"

say "5. Alice comes back, on the other edge, and gets what she missed"
"$examples/watch.py" "ws://127.0.0.1:${ports[1]}/ws/123" --token-file "$dir/alice.token" --device phone \
    >"$dir/back.out" 2>"$dir/back.err" &
client=$!
pids+=("$client")
until_true lines '"sample_size":153' "$dir/back.out" 1
grep effectiveness_update "$dir/back.out" | sed 's/^/  alice: /'
got=$(grep -o '"sample_size":[0-9]*' "$dir/back.out" | tr '\n' ' ')
missed='"sample_size":151 "sample_size":152 "sample_size":153 '
if [ "$got" = "\"sample_size\":150 $missed" ]; then
    echo "  (the first once more: her phone had confirmed it in its last five seconds; its id and seq are the same)"
else
    [ "$got" = "$missed" ]
fi

say "Nothing was lost."
