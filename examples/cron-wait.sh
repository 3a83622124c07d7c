#!/usr/bin/env bash
# A cron job that fails, and so is mailed about, when nobody got the update in time:
#
#   15 6 * * *  cron-wait.sh 123 /var/lib/report/123.json
#
# Run twice on one day (or after a failure), the update is stored once: its id is made of the diagnosis and the day.
# Exits 0 when a device has confirmed receipt, 75 when none did within the minute, else as diagws-send does.
set -euo pipefail

[ $# = 2 ] || { echo "usage: cron-wait.sh DIAGNOSIS FILE" >&2; exit 64; }
diagnosis=$1 file=$2
deadline=${CRON_WAIT_DEADLINE:-1m}

status=0
diagws-send -i "report-$diagnosis-$(date +%F)" --wait=delivered:1 --deadline="$deadline" \
    report_update "$diagnosis" "@$file" || status=$?
[ $status != 75 ] || echo "cron-wait.sh: call the ward: nobody has seen the report of $diagnosis" >&2
exit $status
