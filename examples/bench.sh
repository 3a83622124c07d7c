#!/usr/bin/env bash
# What diagws does on this machine: starts a hub and an edge for the time being and measures the fan-out one by one and
# eight at once, the latency at a fixed rate, a reconnect storm, durable publishing, and the memory of idle clients.
#
#   bench.sh [CLIENTS] [OPTION…]        1000 clients unless given; the options go to each diagws-bench
#   BENCH_SECONDS=N bench.sh …          each for so long; 3 unless given
#
# Exits non-zero when anything was lost. Clients, edge and hub share the processors: compare the CPU times, not the rates,
# with those of another machine.
set -euo pipefail

PATH=${DIAGWS_BIN:-$(cd "$(dirname "$0")" && pwd)/../build/bin}:$PATH
clients=${1:-1000} time=${BENCH_SECONDS:-3}s
dir=$(mktemp -d)
up=

finish() {
    [ -z "$up" ] || kill "$up"
    wait
    rm -rf "$dir"
}
trap finish EXIT

DIAGWS_HUB_OWNERSHIP=either diagws up --json >"$dir/up.json" &
up=$!
until [ -s "$dir/up.json" ]; do
    kill -0 "$up"
    sleep 0.05
done

DIAGWS_HUB=$(jq -r .hub "$dir/up.json")
export DIAGWS_HUB
hub=$(jq '.pids[0]' "$dir/up.json")
edge=$(jq '.pids[1]' "$dir/up.json")
url=$(jq -r .url "$dir/up.json")

bench() {
    local verb=$1
    shift
    printf '\n== diagws bench %s %s\n' "$verb" "$*"
    diagws bench "$verb" --key-file "$(jq -r .key_file "$dir/up.json")" --process "hub=$hub" --process "edge=$edge" "$@"
}
watched() {
    local verb=$1
    shift
    bench "$verb" --ws "ws${url#http}/ws/{room}?token={token}&device=bench-{client}" --clients "$clients" "$@"
}

rooms=$(((clients + 9) / 10))
watched memory --duration "$time" "${@:2}"
watched fanout --duration "$time" "${@:2}"
watched fanout --duration "$time" --burst 8 "${@:2}"
watched latency --rooms "$rooms" --rate 1000 --duration "$time" "${@:2}"
watched storm --rooms "$rooms" "${@:2}"
bench publish --senders 50 --duration "$time" "${@:2}"
