"""The checker finds each kind of fault in a made-up history, and nothing in a clean one."""
import pytest
from made import Made


@pytest.fixture
def made():
    return Made()


def test_a_clean_history_passes(made):
    made.store(1, 2)
    one = made.enter(head=2, oldest=1)
    made.deliver(one, 1, 2)
    made.store(3)
    made.deliver(one, 3)
    made.now += 30
    one.closed(1006)
    made.store(4)
    two = made.enter(resume="exact", head=4, oldest=1)
    made.deliver(two, 4)
    verdict = made.history.judge()
    assert verdict.ok and verdict.faults == []
    assert str(verdict).startswith("0 lost, 0 repeated, 0 out of order, 0 reused, 0 silent gap, 0 over told, "
                                  "0 false receipt, 0 after revoke, 0 phantom")
    assert verdict.counts["deliveries"] == 4 and verdict.counts["attempts"] == 4


# ---- lost ----

def test_lost_in_the_middle_and_at_the_end(made):
    made.store(1, 2, 3)
    device = made.enter(head=3, oldest=1)
    made.deliver(device, 1, 2)
    assert made.history.missing() == [("alice/phone", "7", 3)]
    assert made.found() == {"lost"}
    assert made.history.judge(final=False).ok
    made.deliver(device, 3)
    assert made.found() == set() and made.history.missing() == []


def test_what_one_device_saw_is_owed_to_the_others(made):
    made.store(1, answered=False)
    made.deliver(made.enter(), 1)
    made.enter("alice/tablet")
    assert made.found() == {"lost"}


def test_what_nobody_was_answered_or_saw_is_not_lost(made):
    made.store(1, answered=False)
    made.history.failed("m1", "no answer")
    made.enter()
    assert made.found() == set()


def test_one_that_left_is_owed_what_came_before_its_newest(made):
    made.store(1, 2, 3)
    device = made.enter(head=3, oldest=1)
    made.history.attempt("d", 7, user="alice")
    made.deliver(device, 1, 2)
    made.history.answer("d", 1000)
    device.closed(1000)
    assert made.found() == set()
    device.stayed()
    assert made.found() == {"lost"}


def test_a_direct_message_that_did_not_come_is_lost_without_any_jump_of_n(made):
    device = made.enter()
    made.store(1)
    made.store(2, user="alice")
    made.store(3, user="bob")
    made.history.attempt("m4", 7)
    made.history.answer("m4", 4, 2)
    made.deliver(device, 1)
    device.message(made.update(4, n=2))
    device.closed(1000)
    assert made.found() == {"lost"}
    assert len(made.history.judge().lost) == 1


@pytest.mark.parametrize("told, found", [(True, set()), (False, {"lost"})])
def test_a_gap_of_direct_messages_names_their_own_numbers(made, told, found):
    device = made.enter()
    made.direct(2)
    if told:
        device.message(made.gap(1, 1, direct=True))
    assert made.found() == found


@pytest.mark.parametrize("after, resume, oldest, found", [
    (None, "new", 2, set()),         # a first visit: what was retained
    (None, "new", 1, {"lost"}),
    ("new", "new", 1, set()),
    (1, "exact", 1, set()),
    (0, "new", 1, {"lost"}),
    (9, "reset", 2, set()),
    (9, "reset", 1, {"lost"}),
])
def test_where_a_device_begins(made, after, resume, oldest, found):
    made.store(1, 2)
    device = made.enter(after=after, resume=resume, head=2, oldest=oldest)
    if after != "new":
        made.deliver(device, 2)
    assert made.found() == found


def test_skipping_by_position_excuses_only_what_is_skipped(made):
    made.store(1, 2, 3, 4, 5)
    one = made.enter(head=3, oldest=1)
    made.deliver(one, 1)
    one.closed(1006)
    two = made.enter(after=3, resume="exact", head=5, oldest=1)
    made.deliver(two, 5)
    assert made.found() == {"lost"}
    assert len(made.history.judge().lost) == 1


# ---- repeated ----

@pytest.mark.parametrize("age, found", [(9, set()), (11, {"repeated"})])
def test_repeats_are_allowed_within_the_window(made, age, found):
    made.store(1)
    one = made.enter(head=1, oldest=1)
    made.deliver(one, 1)
    made.now += age
    one.closed(1006)
    made.now += 100
    made.deliver(made.enter(resume="exact", head=1, oldest=1), 1)
    assert made.found() == found
    assert made.history.oldest_repeat == age


@pytest.mark.parametrize("written, found", [(111, {"repeated"}), (109, {"repeated"}), (104, set())])
def test_what_a_killed_hub_cannot_have_written_may_come_again(made, written, found):
    """It came at 100, the connection ended at 120: the window reaches to 5 s before the last that was written."""
    made.store(1)
    one = made.enter(head=1, oldest=1)
    made.deliver(one, 1)
    made.now += 20
    one.closed(1006)
    made.deliver(made.enter(resume="exact", head=1, oldest=1), 1)
    made.history.last_write = lambda ended: written
    assert made.found() == found


def test_a_repeat_on_one_connection(made):
    made.store(1)
    made.deliver(made.enter(head=1, oldest=1), 1, 1)
    assert made.found() == {"repeated"}


def test_a_repeat_to_a_device_that_keeps_its_position(made):
    made.store(1, 2)
    one = made.enter(after=0, head=2, oldest=1, own_state=True)
    made.deliver(one, 1, 2)
    one.closed(1006)
    made.deliver(made.enter(after=2, resume="exact", head=2, oldest=1, own_state=True), 2)
    assert made.found() == {"repeated"}


@pytest.mark.parametrize("resume, found", [("exact", {"repeated"}), ("reset", set())])
def test_a_reset_may_repeat(made, resume, found):
    made.store(1)
    one = made.enter(head=1, oldest=1)
    made.deliver(one, 1)
    made.now += 60
    one.closed(1006)
    made.deliver(made.enter(resume=resume, head=1, oldest=1), 1)
    assert made.found() == found


@pytest.mark.parametrize("confirmed, found", [(False, set()), (True, {"repeated"})])
def test_what_a_device_did_not_acknowledge_itself_may_come_again(made, confirmed, found):
    made.store(1, 2)
    one = made.enter(head=2, oldest=1)
    made.deliver(one, 1, 2)
    made.history.confirm("alice/phone", 7, 2 if confirmed else 1)
    made.now += 60
    one.closed(1006)
    made.deliver(made.enter(resume="exact", head=2, oldest=1), 2)
    assert made.found() == found


def test_one_id_stored_as_two_messages(made):
    device = made.enter()
    made.store(1)
    made.deliver(device, 1)
    device.message(made.update(2, id="m1"))
    assert made.found() == {"repeated"}
    other = Made()
    other.store(1)
    other.history.answer("m1", 2, 2)
    assert other.found() == {"repeated"}


# ---- out of order ----

def test_out_of_order(made):
    made.store(1, 2, 3)
    made.deliver(made.enter(), 1, 3, 2)
    assert "out_of_order" in made.found()


def test_a_new_connection_may_begin_earlier_than_the_last_ended(made):
    made.store(1, 2)
    one = made.enter(head=2, oldest=1)
    made.deliver(one, 1, 2)
    one.closed(1006)
    made.deliver(made.enter(resume="exact", head=2, oldest=1), 1, 2)
    assert made.found() == set()


# ---- reused ----

def test_a_seq_or_an_n_with_two_meanings(made):
    made.store(1)
    made.history.attempt("x", 7)
    made.history.answer("x", 1, 2)
    assert made.found() == {"reused"}
    other = Made()
    other.store(1)
    other.history.attempt("x", 7)
    other.history.answer("x", 2, 1)
    assert other.found() == {"reused"}


def test_an_answer_that_the_deliveries_contradict(made):
    made.store(1)
    made.history.attempt("x", 7)
    made.enter("bob/phone").message(made.update(1, id="x"))
    assert "reused" in made.found()


def test_other_content_for_the_same_seq(made):
    made.store(1)
    made.enter().message(made.update(1))
    made.enter("bob/phone").message(made.update(1, data={"changed": True}))
    assert made.found() == {"reused"}


# ---- silent gaps ----

def test_a_jump_that_nothing_says(made):
    made.store(1, 2, 3, 4)
    made.deliver(made.enter(), 1, 4)
    assert made.found() == {"silent_gap", "lost"}


@pytest.mark.parametrize("gaps, found", [
    ([(2, 3)], set()),
    ([(2, 2), (3, 3)], set()),
    ([(2, 2)], {"silent_gap", "lost"}),    # says too little
    ([(3, 3)], {"silent_gap", "lost"}),
    ([(1, 3)], {"over_told"}),
    ([(2, 4)], {"over_told"}),
    ([(2, 3), (2, 3)], {"over_told"}),
    ([(2, 3, 1)], {"over_told"}),          # counts wrongly
    ([(3, 2)], {"over_told", "silent_gap", "lost"}),
])
def test_a_gap_says_exactly_what_is_missing(made, gaps, found):
    made.store(1, 2, 3, 4)
    device = made.enter()
    made.deliver(device, 1)
    for gap in gaps:
        device.message(made.gap(*gap))
    made.deliver(device, 4)
    assert made.found() == found


def test_a_jump_between_two_connections(made):
    made.store(1, 2, 3)
    for told in (False, True):
        one = made.enter(f"alice/{told}", head=1, oldest=1)
        made.deliver(one, 1)
        one.closed(1006)
        two = made.enter(f"alice/{told}", resume="exact", head=3, oldest=3)
        if told:
            two.message(made.gap(2, 2))
        made.deliver(two, 3)
    verdict = made.history.judge()
    assert len(verdict.silent_gap) == len(verdict.lost) == 1
    assert all("alice/False" in text for text in verdict.silent_gap + verdict.lost)


def test_a_gap_at_the_begin_may_name_what_would_have_been_repeated(made):
    """Also when a direct message comes between it and the first that is counted."""
    made.store(1, 2, 3)
    made.history.attempt("m4", 7, user="alice")
    made.history.attempt("m5", 7)
    one = made.enter()
    made.deliver(one, 1, 2, 3)
    one.closed(1006)
    two = made.enter(resume="gap", head=5, oldest=5)
    two.message(made.gap(2, 3))
    two.message(made.update(4, own=1))
    two.message(made.update(5, n=4))
    assert made.found() == set()


def test_a_gap_told_on_the_connection_before_is_told(made):
    made.store(1, 2, 3)
    one = made.enter(head=1, oldest=1)
    made.deliver(one, 1)
    one.message(made.gap(2, 2))
    one.closed(1006)
    made.deliver(made.enter(resume="exact", head=3, oldest=3), 3)
    assert made.found() == set()


def test_an_excluded_session_misses_its_own_n_only(made):
    made.store(1)
    made.store(2, exclude_session="s1")
    made.store(3)
    made.deliver(made.enter(), 1, 3)
    assert made.found() == set()
    made.deliver(made.enter("bob/phone", session="s2"), 1, 3)
    assert made.found() == {"silent_gap", "lost"}


def test_an_excluded_session_that_returns_as_another(made):
    made.store(1)
    made.store(2, exclude_session="s1")
    made.store(3)
    one = made.enter()
    made.deliver(one, 1)
    one.closed(1006)
    two = made.enter(resume="exact", head=3, oldest=1, session="s2")
    made.deliver(two, 3)
    assert made.found() == set()


def test_a_connection_that_was_never_welcomed_does_not_move_the_window(made):
    made.store(1)
    one = made.enter(head=1, oldest=1)
    made.deliver(one, 1)
    one.closed(1006)
    made.now += 60
    made.history.connect("alice/phone", 7).closed(1013)
    made.deliver(made.enter(resume="exact", head=1, oldest=1), 1)
    assert made.found() == set()


# ---- phantom ----

def test_phantoms(made):
    device = made.enter()
    made.deliver(device, 1)
    assert made.found() == {"phantom"}


@pytest.mark.parametrize("options", [{"user": "bob"}, {"exclude_session": "s1"}])
def test_a_message_for_somebody_else(made, options):
    made.store(1, **options)
    made.enter().message(made.update(1, own=1 if "user" in options else None))
    assert made.found() == {"phantom"}


def test_a_message_of_another_room(made):
    made.history.attempt("m1", 8)
    made.enter().message(made.update(1))
    assert made.found() == {"phantom"}


# ---- more rooms on one connection ----

def test_rooms_that_are_subscribed_are_judged_each_for_itself(made):
    made.store(1)
    made.history.attempt("m2", 8)
    made.history.answer("m2", 2, 1)
    made.history.attempt("m3", 7)
    made.history.answer("m3", 3, 2)
    device = made.enter()
    device.subscribe("8")
    device.message({"type": "subscribed", "diagnosis_id": 8,
                    "data": {"head": 0, "oldest": 0, "resume": "new", "session": "s1"}})
    device.message(made.update(1))
    device.message({**made.update(3), "n": 2})
    assert made.history.missing() == [("alice/phone", "8", 2)]
    device.message({**made.update(2, n=1), "diagnosis_id": 8})
    assert made.found() == set()
    device.unsubscribe("8")
    device.message({**made.update(2, n=1), "diagnosis_id": 8})
    assert made.found() == {"phantom"}
