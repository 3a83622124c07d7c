"""The shortest history that still fails: steps are left out, ever fewer at once (Zeller's ddmin), then words of steps."""
import re


def _without(steps, fails, what):
    size = max((len(steps) - 1) // 2, 1)
    while True:
        at, shorter = 1, False
        while at < len(steps):
            left = steps[:at] + steps[at + size:]
            found = fails(left)
            if found:
                # What follows the step that fails is of no use.
                steps, what, shorter = left[:found[0] + 1], found, True
            else:
                at += size
        if size == 1 and not shorter:
            return steps, what
        size = max(size // 2, 1)


def _plainer(steps, fails, what):
    for i in range(len(steps)):
        parts = steps[i].split()
        for part in list(parts):
            if "=" not in part and part not in ("derived", "ack", "claim", "evict", "either"):
                continue
            if part.startswith(("limit=", "engine=")) and i == 0:
                continue
            fewer = [p for p in parts if p != part]
            tried = steps[:i] + [" ".join(fewer)] + steps[i + 1:]
            found = fails(tried)
            if found:
                steps, what, parts = tried[:found[0] + 1], found, fewer
        if i >= len(steps) - 1:
            break
    return steps, what


def kind(text):
    """What is said of a failure, without what it is said of."""
    return re.sub(r"\d+|'[^']*'", "", re.split(r"[\[{]", text)[0])


def shrink(steps, judge):
    """(steps, what is wrong); `judge` says what is wrong with a history: (step, text), or None."""
    what = judge(steps)
    assert what, "it does not fail"
    wanted = kind(what[1])

    def fails(steps):
        found = judge(steps)
        return found if found and kind(found[1]) == wanted else None

    steps = steps[:what[0] + 1]
    before = None
    while steps != before:
        before = steps
        steps, what = _without(steps, fails, what)
        steps, what = _plainer(steps, fails, what)
    return steps, what
