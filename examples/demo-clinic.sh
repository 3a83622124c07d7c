#!/usr/bin/env bash
# A made-up clinic on real processes: patients, diagnoses and months of feedback, a hub, two edges, and the clinic's
# service with its page. Prints the page's address and stays until ^C. `make demo-clinic` runs it.
#
#   SCRIPT=1 demo-clinic.sh   drives itself instead: feedback by curl until a ranking turns, with somebody watching;
#                             exits non-zero when any step fails
#   PORT=8080  SEED=1         where the page is (else a free port), and what is made up
set -euo pipefail

examples=$(cd "$(dirname "$0")" && pwd)
PATH=${DIAGWS_BIN:-$examples/../build/bin}:$PATH
dir=$(mktemp -d)
export DIAGWS_HUB=ipc://$dir/hub.sock DIAGWS_CLINIC_DB=$dir/clinic.db
pids=()

finish() {
    status=$?
    trap - EXIT
    [ $status = 0 ] || { echo "demo: failed; what the processes said:"; tail -n 5 "$dir"/*.log; } >&2
    [ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>"$dir/kill" || echo "(some had ended)" >"$dir/ended"
    for pid in "${pids[@]}"; do
        ended=0
        wait "$pid" 2>"$dir/wait" || ended=$?
        [ $ended = 0 ] || [ $ended = 143 ] || { echo "demo: a process ended with status $ended" >&2 && status=1; }
    done
    rm -rf "$dir"
    exit $status
}
trap finish EXIT
trap 'exit 0' INT TERM

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
free_port() { /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
start() { "$@" 2>>"$dir/${1##*/}.log" & pids+=($!); }
ask() { sqlite3 -readonly -cmd '.timeout 5000' "$DIAGWS_CLINIC_DB" "$1"; }

say "1. A clinic is made up: patients, diagnoses, herbs, months of feedback"
run diagws-clinic init
run diagws-clinic demo --seed "${SEED:-1}"
for table in patients diagnoses recommendations feedback; do
    echo "  $(ask "SELECT count(*) FROM $table") $table"
done

say "2. A hub, two edges, and the clinic's service"
mkdir -m 700 "$dir/keys"
(umask 077 && openssl rand -hex 32 >"$dir/keys/demo.hs256")
start diagws-hub --bind "$DIAGWS_HUB" --state-dir "$dir/state"
edges=()
page=${PORT:-$(free_port)}
for _ in 1 2; do
    port=$(free_port)
    # The page comes from another port, so the edges are told that it may ask them.
    start diagws-edge --listen "127.0.0.1:$port" --keys "$dir/keys" --origin "http://127.0.0.1:$page"
    until_true ready "$port"
    edges+=("ws://127.0.0.1:$port")
    echo "  edge ready on http://127.0.0.1:$port"
done
start diagws-clinic serve --listen "127.0.0.1:$page" --keys "$dir/keys" --edge "${edges[0]}" --edge "${edges[1]}"
until_true ready "$page"
echo "  clinic ready on http://127.0.0.1:$page"

say "3. The user demo may see and treat everybody"
ask "SELECT json_object('diagnosis_id', id, 'user_id', 'demo') FROM diagnoses" | diagws-owner import
diagws-token mint --key-file "$dir/keys/demo.hs256" --sub demo --ttl 12h >"$dir/token"
echo "Authorization: Bearer $(cat "$dir/token")" >"$dir/header"
echo
echo "  http://127.0.0.1:$page/#diagnosis=101&token=$(cat "$dir/token")"

if [ -z "${SCRIPT:-}" ]; then
    echo
    echo "  Open it, and give feedback there or by a shell:"
    echo "  echo '{\"diagnosis_id\":101,\"recommendation_id\":$(ask "SELECT min(id) FROM recommendations WHERE diagnosis = '101'"),\"rating\":5,\"symptom_improvement\":5}' |"
    echo "      DIAGWS_HUB=$DIAGWS_HUB DIAGWS_CLINIC_DB=$DIAGWS_CLINIC_DB $(readlink -f "$(command -v diagws-clinic)") feedback submit"
    echo
    echo "  ^C ends it all."
    wait
    exit 1 # one of them has ended by itself
fi

# ---- by itself ----

http() { curl -fsS -H @"$dir/header" "$@"; }
# submit DIAGNOSIS RECOMMENDATION: what a patient says who is well again; leaves the answer in $dir/answer.
submit() {
    echo "{\"diagnosis_id\":$1,\"recommendation_id\":$2,\"rating\":5,\"symptom_improvement\":5,\"comment\":\"خیلی بهترم\"}" |
        http -H 'Content-Type: application/json' --data-binary @- "http://127.0.0.1:$page/api/feedback/submit" >"$dir/answer"
    jq -e .success "$dir/answer" >"$dir/ok"
}
seen() { jq -c "select(.type == \"$1\" and ($2))" "$dir/seen"; }
comes() { [ -n "$(seen "$1" "$2")" ]; }
ranking() { ask "SELECT version FROM rankings WHERE diagnosis = '101'"; }
in_order() { http "http://127.0.0.1:$page/api/predictions/diagnosis/101/predict" | jq -r "[.predictions[] | $1] | @tsv"; }

say "4. Somebody watches diagnosis 101 and sees the present ranking"
start "$examples/watch.py" "${edges[0]}/ws/101" "${edges[1]}/ws/101" --token-file "$dir/token" >"$dir/seen"
until_true comes connect true
in_order '.herb_name + " " + (.predicted_effectiveness | tostring)' | sed 's/^/  /'
second=$(in_order .recommendation_id | cut -f2)
before=$(ranking)

say "5. Patients with that condition are well by the second one, recommendation $second"
for diagnosis in $(ask "SELECT d.id FROM diagnoses d
    LEFT JOIN feedback f ON f.patient = d.patient AND f.recommendation = $second
    WHERE d.condition = (SELECT condition FROM diagnoses WHERE id = '101')
    ORDER BY d.id <> '101', f.id IS NOT NULL, f.rating + f.symptom_improvement"); do
    submit "$diagnosis" "$second"
    feedback=$(jq .feedback_id "$dir/answer")
    until_true comes feedback_update ".data.feedback_id == $feedback"
    echo "  the patient of $diagnosis: feedback_update"
    if [ "$(jq .analytics "$dir/answer")" = true ]; then
        new=$(ask "SELECT version FROM metrics WHERE recommendation = $second")
        until_true comes effectiveness_update ".id | endswith(\".effectiveness.$second.$new\")"
        seen effectiveness_update true | tail -n 1 |
            jq -r '.data | "    effectiveness_update: \(.old_effectiveness) → \(.new_effectiveness) of \(.sample_size), \(.trend)"'
    fi
    [ "$(ranking)" = "$before" ] || break
done

say "6. The ranking has turned, and who watches is told"
until_true comes recommendation_update true
comes effectiveness_update true
seen recommendation_update true | jq -r '.data | (.old_data, .new_data) | [.ranking[].herb_name] | "  " + join("، ")'
[ "$(in_order .recommendation_id | cut -f1)" = "$second" ] ||
    [ "$(seen recommendation_update true | tail -n 1 | jq '.data.new_data.ranking[0].recommendation_id')" = "$second" ]
diagws-clinic outbox --format ndjson >"$dir/waiting"
[ ! -s "$dir/waiting" ]

say "Everybody who watches knows."
