"""The clinic's formulas once more, in exact fractions and from the records alone: what the tests hold its numbers to."""
import math
from fractions import Fraction

DAY = 24 * 3600


def rounded(value, digits):
    """Half up, as a number of JSON."""
    return math.floor(value * 10**digits + Fraction(1, 2)) / 10**digits


def succeeded(record):
    return record["rating"] >= 3 and record["symptom_improvement"] >= 3


def rate(records):
    return Fraction(sum(map(succeeded, records)), len(records))


def trend(records, now):
    recent = [record for record in records if record["created"] >= now - 30 * DAY]
    earlier = [record for record in records if record["created"] < now - 30 * DAY]
    if len(records) < 2 or not recent or not earlier:
        return "stable"
    change = rate(recent) - rate(earlier)
    return "improving" if change > Fraction(1, 10) else "declining" if change < Fraction(-1, 10) else "stable"


def effectiveness(records, now):
    """What is known of a treatment by its feedback; None without any."""
    records = [record for record in records if now - 90 * DAY <= record["created"] <= now]
    if not records:
        return None
    count = len(records)
    return {"effectiveness": rounded(rate(records), 3), "sample_size": count,
            "confidence": rounded(min(Fraction(1), Fraction(1, 2) + Fraction(min(count, 100), 200)), 3),
            "trend": trend(records, now),
            "average_rating": rounded(Fraction(sum(record["rating"] for record in records), count), 2)}
