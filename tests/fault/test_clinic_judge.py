"""The judge of tests/fault/clinic.py finds nothing where all agree, and each kind of fault where one was made."""
import collections
import copy
import types

import pytest

from clinic_judge import judge
from clinic_ward import Attempt

NOW, TAG = 1_790_000_000, "cafe"
RANKINGS = [{"ranking": [{"recommendation_id": n} for n in order]} for order in ((8, 9), (9, 8))]


def record(version, rating, comment):
    return {"id": 17, "patient": 1, "recommendation": 9, "diagnosis": "101", "rating": rating, "symptom_improvement": 4,
            "comment": comment, "created": NOW, "updated": NOW, "version": version}


def result(version, share, cases=1):
    return {"old_effectiveness": {1: None, 2: 0}[version], "new_effectiveness": share, "confidence": 0.505,
            "sample_size": cases, "trend": "stable", "recommendation_id": 9}


class Ward:
    """Patient 1 of diagnosis 101 was unwell, then well by recommendation 9 of diagnosis 102."""

    def __init__(self):
        self.db = {
            "FROM feedback f": [], "FROM cohort": [], "FROM clinic": [{"tag": TAG}], "FROM outbox": [],
            "FROM recommendations": [{"id": 8, "diagnosis": "102"}, {"id": 9, "diagnosis": "102"}],
            "FROM feedback": [record(2, 5, "w1-1")],
            "FROM metrics": [{"recommendation": 9, "version": 2, "effectiveness": 1.0, "confidence": 0.505, "cases": 1,
                              "trend": "stable", "average_rating": 5.0, "computed": NOW}],
            "FROM rankings": [{"diagnosis": "102", "version": 2,
                               "ranking": '[{"recommendation_id": 9}, {"recommendation_id": 8}]'}]}
        first, second = Attempt("w1-0", 1, 4), Attempt("w1-1", 5, 4)
        first.version, second.version = 1, 2
        self.writers = [types.SimpleNamespace(attempts={(1, 9): [first, second]}, ids={(1, 9): 17}, patients=[1],
                                              answers=collections.Counter({200: 2}))]
        self.asked = collections.Counter({(1, 9): 2})
        own = [(n, f"{TAG}.feedback.17.{n}", "feedback_update", {"rating": rating, "effectiveness": 0.8,
                                                                 "comment": f"w1-{n - 1}"}) for n, rating in ((1, 1), (2, 5))]
        others = [(3, f"{TAG}.feedback.17.1.r", "feedback_update", {"rating": 1, "effectiveness": 0.8}),
                  (4, f"{TAG}.effectiveness.9.1", "effectiveness_update", result(1, 0)),
                  (5, f"{TAG}.feedback.17.2.r", "feedback_update", {"rating": 5, "effectiveness": 0.8}),
                  (6, f"{TAG}.effectiveness.9.2", "effectiveness_update", result(2, 1)),
                  (7, f"{TAG}.ranking.102.2", "recommendation_update",
                   {"old_data": RANKINGS[0], "new_data": RANKINGS[1]})]
        self.listeners = [types.SimpleNamespace(room=room, messages=messages, connections=1)
                          for room, messages in (("101", own), ("102", others))]
        self.polled = {"101": copy.deepcopy(own), "102": copy.deepcopy(others)}
        self.odd = []

    def rows(self, sql):
        return next(rows for words, rows in self.db.items() if words in sql)

    def edit(self, room, number, *message):
        """Takes a message away, or puts others in its place, as the listener and the poll have it."""
        for messages in (self.polled[room], next(l.messages for l in self.listeners if l.room == room)):
            messages[number:number + 1] = message


def test_all_agree():
    assert judge(Ward())[0] == []


def lose_the_record(ward):
    ward.db["FROM feedback"].clear()


def keep_older_words(ward):
    ward.db["FROM feedback"][0].update(comment="w1-0", rating=1)


def count_twice(ward):
    ward.db["FROM feedback"][0]["version"] = 3


def count_a_cohort_twice(ward):
    ward.db["FROM cohort"] = [{"cases": 2}]


def score_wrongly(ward):
    ward.db["FROM metrics"][0]["effectiveness"] = 0.999


def keep_in_the_outbox(ward):
    ward.db["FROM outbox"].append({"message": f"{TAG}.feedback.17.2", "refused": None})


def never_push(ward):
    ward.edit("101", 1)


def push_twice(ward):
    ward.edit("101", 1, *[(n, f"{TAG}.feedback.17.2", "feedback_update",
                           {"rating": 5, "effectiveness": 0.8, "comment": "w1-1"}) for n in (2, 9)])


def push_other_words(ward):
    ward.listeners[0].messages[1][3]["rating"] = 4
    ward.polled["101"][1][3]["rating"] = 4


def tell_a_comment_abroad(ward):
    for messages in (ward.listeners[1].messages, ward.polled["102"]):
        messages[2][3]["comment"] = "w1-1"


def push_out_of_thin_air(ward):
    ward.edit("102", 4, (7, f"{TAG}.ranking.102.3", "recommendation_update",
                         {"old_data": RANKINGS[0], "new_data": RANKINGS[1]}))


def push_by_another_id(ward):
    ward.edit("101", 0, (1, "0123abcd", "feedback_update", {"rating": 1, "effectiveness": 0.8, "comment": "w1-0"}))


def show_an_old_score(ward):
    ward.db["FROM metrics"][0].update(version=1)
    ward.edit("102", 3)


def begin_elsewhere(ward):
    ward.listeners[1].messages[3][3]["old_effectiveness"] = 0.5


def poll_another_list(ward):
    ward.polled["102"].pop()


def turn_the_order(ward):
    first, second = ward.polled["101"]
    ward.edit("101", 0, second, first)
    ward.edit("101", 2)


def rank_otherwise(ward):
    ward.db["FROM rankings"][0]["ranking"] = '[{"recommendation_id": 8}, {"recommendation_id": 9}]'


def see_what_nobody_may(ward):
    ward.odd.append("another epoch")


@pytest.mark.parametrize("fault, kind", [
    (lose_the_record, "lost"), (keep_older_words, "lost"), (count_twice, "counted"), (count_a_cohort_twice, "counted"),
    (score_wrongly, "score"), (keep_in_the_outbox, "push"), (never_push, "push"), (push_twice, "push"),
    (push_other_words, "push"), (tell_a_comment_abroad, "push"), (push_out_of_thin_air, "push"), (push_by_another_id, "push"),
    (show_an_old_score, "view"),
    (begin_elsewhere, "view"), (poll_another_list, "view"), (turn_the_order, "view"), (rank_otherwise, "view"),
    (see_what_nobody_may, "odd")])
def test_a_fault_is_found(fault, kind):
    ward = Ward()
    fault(ward)
    assert kind in {text.partition(":")[0] for text in judge(ward)[0]}
