#!/usr/bin/env bash
# The analytics of `diagws-clinic analytics run --all`, once in plain shell: what SQL makes of the last 90 days of
# feedback, pushed to whoever watches. Its numbers are those of the command, to the digit; take it where you want other
# ones.
#
#   clinic-analytics.sh [-n] [FILE]     FILE: $DIAGWS_CLINIC_DB, else clinic.db; -n prints what would be sent
#   CLINIC_NOW=1764597600 …             as if it were this second since 1970
#
# It reads the file and changes nothing there. Sent is what differs from the last result that the clinic itself has
# told; and since a message's id is made of all the counts behind it, running twice pushes once.
# Needs sqlite3 and jq. Exits as diagws-send does; 66 when the file is not there.
set -euo pipefail

send=(diagws-send -l)
if [ "${1:-}" = -n ]; then
    send=(cat)
    shift
fi
[ $# -le 1 ] || { echo "usage: clinic-analytics.sh [-n] [FILE]" >&2; exit 64; }
file=${1:-${DIAGWS_CLINIC_DB:-clinic.db}}
[ -r "$file" ] || { echo "clinic-analytics.sh: $file: there is no such file" >&2; exit 66; }
now=${CLINIC_NOW:-$(date +%s)}
[[ $now =~ ^[0-9]+$ ]] || { echo "clinic-analytics.sh: CLINIC_NOW: '$now' is not a number of seconds" >&2; exit 64; }

# Scores are compared as whole numbers, and rounded half up to thousandths, so that no binary fraction tips one over.
sqlite3 -readonly -json -cmd '.timeout 5000' -cmd ".parameter set @now $now" "$file" <<'SQL' |
WITH counted AS (
    SELECT recommendation AS id, created >= @now - 30 * 86400 AS recent,
        rating, rating >= 3 AND symptom_improvement >= 3 AS success
    FROM feedback WHERE created BETWEEN @now - 90 * 86400 AND @now
), sums AS (
    SELECT id, count(*) AS n, sum(success) AS s, sum(rating) AS ratings,
        sum(recent) AS n1, sum(recent AND success) AS s1
    FROM counted GROUP BY id
), compared AS (
    SELECT *, (2000 * s + n) / (2 * n) AS effectiveness, 500 + 5 * min(n, 100) AS confidence,
        10 * (s1 * (n - n1) - (s - s1) * n1) AS rise, n1 * (n - n1) AS tenth
    FROM sums
), results AS (
    SELECT *, CASE WHEN rise > tenth THEN 'improving' WHEN rise < -tenth THEN 'declining' ELSE 'stable' END AS trend
    FROM compared
)
SELECT r.id, r.diagnosis, r.herb, c.tag, coalesce(m.version, 0) AS version, n, s, ratings, n1, s1, x.trend,
    CAST(round(1000 * m.effectiveness) AS INTEGER) AS old, x.effectiveness AS new, x.confidence,
    (200 * ratings + n) / (2 * n) AS average
FROM results x JOIN recommendations r USING (id) LEFT JOIN metrics m ON m.recommendation = r.id, clinic c
WHERE (m.cases, m.trend, CAST(round(1000 * m.effectiveness) AS INTEGER)) IS NOT (n, x.trend, x.effectiveness)
ORDER BY r.id;
SQL
    jq -c '.[] | {
        diagnosis_id: .diagnosis,
        type: "effectiveness",
        id: ([.tag, "shell", .id, .version, .n, .s, .ratings, .n1, .s1] | map(tostring) | join(".")),
        data: {
            recommendation_id: .id,
            herb_name: .herb,
            old_effectiveness: (.old | if . then . / 1000 else null end),
            new_effectiveness: (.new / 1000),
            confidence: (.confidence / 1000),
            sample_size: .n,
            trend: .trend,
            improvement: (if .old then (.new - .old) / 1000 else null end),
            average_rating: (.average / 100)
        }
    }' |
    "${send[@]}"
