"""The checker judges gaps both ways: what they say too little of, and too much; and loss by what is retained."""
import pytest
from made import Made


@pytest.fixture
def made():
    return Made(limit=3)


# ---- direct messages have numbers of their own ----

@pytest.mark.parametrize("told, found", [
    ([(1, 2)], set()),
    ([(1, 1), (2, 2)], set()),
    ([(2, 2)], {"silent_gap", "lost"}),
    ([], {"silent_gap", "lost"}),
    ([(1, 3)], {"over_told"}),
    ([(1, 2), (2, 2)], {"over_told"}),
])
def test_a_direct_gap_names_what_is_missing(told, found):
    made = Made()
    device = made.enter(head=2)
    device.closed(1000)
    made.direct(2, 3, 4)
    device = made.enter(resume="exact", head=4)
    device.message(made.update(2, own=1))
    device.closed(1000)
    made.direct(5, 6, 7)
    device = made.enter(resume="gap", head=7)
    for first, last in told:
        device.message(made.gap(first + 1, last + 1, direct=True))
    device.message(made.update(5, own=4))
    made.direct(8)
    device.message(made.update(6, own=5))
    device.message(made.update(7, own=6))
    device.message(made.update(8, own=7))
    assert made.found() == found


def test_the_two_numberings_do_not_mix(made):
    made.store(1)
    made.direct(2)
    device = made.enter(head=2, oldest=1)
    made.deliver(device, 1)
    device.message(made.update(2, own=1))
    made.history.attempt("m3", 7)
    made.history.answer("m3", 3, 2)
    device.message(made.update(3, n=2))
    assert made.found() == set()


def test_a_direct_message_without_its_number(made):
    made.direct(1)
    made.enter().message(made.update(1, n=None))
    assert made.found() == {"reused"}


def test_a_direct_number_with_two_meanings(made):
    made.direct(1, 2)
    device = made.enter()
    device.message(made.update(1, own=1))
    device.message(made.update(2, own=1))
    assert "reused" in made.found()


def test_a_number_that_is_not_that_of_its_place():
    made = Made(settled=lambda *_: False)
    made.direct(1, 2)
    device = made.enter()
    device.message(made.update(1, own=1))
    device.message(made.update(2, own=3))
    assert made.found() == {"reused", "silent_gap"}


# ---- over-told: what is retained, or was never sent ----

@pytest.mark.parametrize("newest, last, found", [
    (5, 2, set()), (5, 3, {"over_told"}), (4, 1, set()), (4, 2, {"over_told"})])
def test_what_is_within_the_limit_is_not_gone(made, newest, last, found):
    device = made.enter()
    made.store(*range(1, newest + 1))
    device.message(made.gap(1, last))
    made.deliver(device, *range(last + 1, newest + 1))
    assert made.found() == found


@pytest.mark.parametrize("newest, found", [(4, set()), (3, {"over_told"})])
def test_what_is_direct_is_limited_by_itself(made, newest, found):
    device = made.enter()
    made.direct(*range(1, 1 + newest))
    for seq in range(11, 21):
        made.history.attempt(f"m{seq}", 7, exclude_session="s1")
        made.history.answer(f"m{seq}", seq, seq - 10)
    device.message(made.gap(1, 1, direct=True))
    for own in range(2, newest + 1):
        device.message(made.update(own, own=own))
    assert made.found() == found


def test_all_direct_messages_of_a_room_have_a_limit_together(made):
    device = made.enter()
    made.direct(1)
    for seq in range(2, 32):
        made.store(seq, user=f"user{seq}")
    device.message(made.gap(1, 1, direct=True))
    assert made.found() == set()
    made = Made(limit=3)
    device = made.enter()
    made.direct(1)
    for seq in range(2, 31):
        made.store(seq, user=f"user{seq}")
    device.message(made.gap(1, 1, direct=True))
    assert made.found() == {"over_told"}


@pytest.mark.parametrize("age, reason, found", [
    (6, "expired", set()), (4, "expired", {"over_told"}), (6, "limit", {"over_told"}), (6, "slow", {"over_told"})])
def test_what_has_expired_is_told_as_that_and_not_before(made, age, reason, found):
    device = made.enter()
    made.store(1, ttl=5)
    made.store(2)
    made.now += age
    device.message(made.gap(1, 1, reason=reason))
    made.deliver(device, 2)
    assert made.found() == found


def test_the_age_of_the_queue_counts_for_all():
    made = Made(limit=3, ttl=5)
    device = made.enter()
    made.store(1, 2)
    made.now += 6
    device.message(made.gap(1, 2, reason="expired"))
    assert made.found() == set()


def test_what_was_never_sent(made):
    device = made.enter()
    made.store(1, 2, 3, 4)
    device.message(made.gap(1, 5))
    assert "over_told" in made.found()


def test_what_was_sent_after_the_gap_was_told(made):
    device = made.enter()
    made.store(1, 2, 3, 4)
    device.message(made.gap(1, 4))
    made.now += 1
    made.store(5, 6, 7)
    made.deliver(device, 5, 6, 7)
    assert made.found() == {"over_told"}


# ---- over-told: what this connection brought, or the device had ----

def test_a_gap_names_what_came_later_on_the_same_connection(made):
    device = made.enter()
    made.store(1, 2, 3, 4)
    device.message(made.gap(1, 1))
    made.deliver(device, 1, 2, 3, 4)
    assert made.found() == {"over_told"}


def test_a_gap_that_two_connections_tell(made):
    one = made.enter()
    made.store(1, 2, 3, 4)
    one.message(made.gap(1, 1))
    one.closed(1006)
    two = made.enter(resume="gap", head=4, oldest=2)
    two.message(made.gap(1, 1))
    made.deliver(two, 2, 3, 4)
    assert made.found() == set()


@pytest.mark.parametrize("age, found", [(9, set()), (11, {"over_told"})])
def test_a_gap_names_no_more_than_would_be_repeated(made, age, found):
    one = made.enter()
    made.store(1, 2)
    made.deliver(one, 1, 2)
    made.now += age
    one.closed(1006)
    made.store(3, 4, 5, 6)
    two = made.enter(resume="gap", head=6, oldest=4)
    two.message(made.gap(2, 3))
    made.deliver(two, 4, 5, 6)
    assert made.found() == found


@pytest.mark.parametrize("acknowledged, found", [(1, set()), (2, {"over_told"}), (None, set())])
def test_a_gap_names_nothing_that_was_acknowledged(made, acknowledged, found):
    one = made.enter(acks=True)
    made.store(1, 2)
    made.deliver(one, 1, 2)
    if acknowledged:
        made.history.confirm("alice/phone", 7, acknowledged)
    made.now += 60
    one.closed(1000)
    made.store(3, 4, 5, 6)
    two = made.enter(resume="gap", head=6, oldest=4, acks=True)
    two.message(made.gap(2, 3))
    made.deliver(two, 4, 5, 6)
    assert made.found() == found


def test_what_was_acknowledged_and_rightly_repeated_has_to_be_acknowledged_again():
    made = Made(settled=lambda spans, *_: sum(end - begin for _, begin, end in spans) > 5)
    made.store(1)
    one = made.enter(head=1, oldest=1, acks=True)
    made.deliver(one, 1)
    made.history.confirm("alice/phone", 7, 1)
    made.now += 1
    one.closed(1006)
    two = made.enter(resume="exact", head=1, oldest=1, acks=True)
    made.deliver(two, 1)
    made.now += 60
    two.closed(1006)
    made.deliver(made.enter(resume="exact", head=1, oldest=1, acks=True), 1)
    assert made.found() == set()


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("first, found", [(2, {"over_told"}), (3, set())])
def test_a_first_visit_has_missed_nothing(made, first, found, direct):
    (made.direct if direct else made.store)(1, 2, 3, 4, 5)
    made.now += 1
    one = made.enter(head=5, oldest=3)
    one.closed(1006)
    (made.direct if direct else made.store)(6, 7, 8)
    two = made.enter(resume="gap", head=8, oldest=6)
    two.message(made.gap(first, 5, direct=direct))
    for seq in (6, 7, 8):
        two.message(made.update(seq, own=seq if direct else None))
    assert made.found() == found


@pytest.mark.parametrize("asked, found", [(True, set()), (False, {"over_told"})])
def test_a_visit_whose_answer_was_lost_may_have_been_the_first(made, asked, found):
    """The hub took the device, and the edge was killed before it said so."""
    if asked:
        made.history.connect("alice/phone", 7, user="alice").closed(1006)
    made.store(1, 2, 3, 4, 5)
    made.now += 1
    one = made.enter(resume="gap", head=5, oldest=3)
    one.message(made.gap(1, 2))
    made.deliver(one, 3, 4, 5)
    assert made.found() == found


def test_one_that_is_over_may_be_told_in_its_place_also_to_who_comes_first(made):
    made.direct(1, ttl=5)
    made.now += 6
    one = made.enter()
    one.message(made.gap(1, 1, direct=True, reason="expired"))
    one.closed(1006)
    made.enter(resume="gap").message(made.gap(1, 1, direct=True, reason="expired"))
    assert made.found() == set()


@pytest.mark.parametrize("first, found", [(2, {"over_told"}), (3, set()), (4, {"silent_gap", "lost"})])
def test_a_device_that_keeps_its_position_is_told_what_follows_it(first, found):
    made = Made(limit=3)
    made.store(1, 2)
    one = made.enter(after=0, head=2, oldest=1, own_state=True)
    made.deliver(one, 1, 2)
    one.closed(1006)
    made.store(3, 4, 5, 6, 7)
    two = made.enter(after=2, resume="gap", head=7, oldest=5, own_state=True)
    two.message(made.gap(first, 4))
    made.deliver(two, 5, 6, 7)
    assert made.found() == found


@pytest.mark.parametrize("newest, found", [(32, set()), (31, {"over_told"})])
def test_so_far_back_it_may_be_told_more(made, newest, found):
    made.store(1, 2)
    one = made.enter(after=0, head=2, oldest=1, own_state=True)
    made.deliver(one, 1, 2)
    one.closed(1006)
    made.store(*range(3, newest + 1))
    two = made.enter(after=2, resume="gap", head=newest, oldest=newest - 2, own_state=True)
    two.message(made.gap(1, newest - 3))
    made.deliver(two, newest - 2, newest - 1, newest)
    assert made.found() == found


@pytest.mark.parametrize("gaps, found", [([(1, 1)], set()), ([], {"silent_gap"})])
def test_who_is_welcomed_with_a_gap_is_told_of_one(made, gaps, found):
    made.enter().closed(1006)
    made.store(1, answered=False)
    made.store(2, 3, 4)
    device = made.enter(resume="gap", head=4, oldest=2)
    for gap in gaps:
        device.message(made.gap(*gap))
    made.deliver(device, 2, 3, 4)
    assert made.found() == found


# ---- polls ----

@pytest.mark.parametrize("after, gaps, seqs, last, found", [
    (2, [(3, 4)], (5, 6), 6, set()),
    (2, [], (5, 6), 6, {"silent_gap", "lost"}),
    (2, [(3, 3)], (5, 6), 6, {"silent_gap", "lost"}),
    (2, [(2, 4)], (5, 6), 6, {"over_told"}),
    (2, [(3, 5)], (5, 6), 6, {"over_told"}),
    (2, [(3, 3), (3, 4)], (5, 6), 6, {"over_told"}),
    (2, [(3, 4)], (5, 6), 5, {"out_of_order", "repeated"}),
    (2, [(3, 4)], (5,), 6, {"silent_gap"}),
    (2, [(3, 4)], (), 4, set()),
])
def test_a_page_tells_exactly_what_is_gone(made, after, gaps, seqs, last, found):
    made.store(1, 2)
    made.poll(0, made.page(2, made.update(1), made.update(2)), first=True)
    made.store(3, 4, 5, 6, 7)
    made.poll(after, made.page(last, *map(made.update, seqs), gaps=[made.gap(*gap) for gap in gaps], head=7))
    made.poll(max(last, 4), made.page(7, *(made.update(seq) for seq in (5, 6, 7) if seq > max(last, 4))))
    assert made.found() == found


@pytest.mark.parametrize("gaps, first, found", [
    ([], 3, set()), ([], 4, {"lost"}), ([(1, 2)], 3, {"over_told"}), ([(2, 2)], 3, {"over_told"})])
def test_a_first_page_tells_of_nothing_that_was_gone_before(made, gaps, first, found):
    made.store(1, 2, 3, 4, 5)
    made.poll(0, made.page(5, *map(made.update, range(first, 6)), gaps=[made.gap(*gap) for gap in gaps]), first=True)
    assert made.found() == found


@pytest.mark.parametrize("first, found", [(4, set()), (5, {"lost"})])
def test_a_first_page_may_begin_with_a_direct_message_older_than_what_is_gone(made, first, found):
    made.direct(1)
    for seq in range(2, 7):
        made.history.attempt(f"m{seq}", 7)
        made.history.answer(f"m{seq}", seq, seq - 1)
    made.poll(0, made.page(6, made.update(1, own=1), *(made.update(seq, seq - 1) for seq in range(first, 7))), first=True)
    assert made.found() == found


@pytest.mark.parametrize("told, found", [((1, 1), set()), (None, {"silent_gap", "lost"}), ((1, 2), {"over_told"})])
def test_a_page_tells_direct_messages_by_their_own_numbers(made, told, found):
    made.store(1)
    made.poll(0, made.page(1, made.update(1)), first=True)
    made.direct(2, 3, 4, 5)
    made.poll(1, made.page(5, *(made.update(seq, own=seq - 1) for seq in (3, 4, 5)),
                           direct_gaps=[made.gap(*told)] if told else []))
    assert made.found() == found


# ---- lost, by what is retained ----

@pytest.mark.parametrize("oldest, found", [(3, set()), (4, {"lost"})])
def test_a_first_visit_gets_all_that_is_retained_whatever_the_welcome_says(made, oldest, found):
    made.store(1, 2, 3, 4, 5)
    made.deliver(made.enter(head=5, oldest=oldest), *range(oldest, 6))
    assert made.found() == found


@pytest.mark.parametrize("seq, found", [(2, {"lost"}), (1, set())])
def test_a_first_visit_gets_a_direct_message_that_is_older_than_the_oldest_to_all(made, seq, found):
    made.direct(1, 2, 3, 4)
    made.history.attempt("m5", 7)
    made.history.answer("m5", 5, 1)
    device = made.enter(head=5, oldest=5)
    for direct in {1, 2, 3, 4} - {1, seq}:
        device.message(made.update(direct, own=direct))
    device.message(made.update(5, n=1))
    assert made.found() - {"silent_gap"} == found


@pytest.mark.parametrize("since, found", [(4, set()), (6, {"phantom"})])
def test_what_is_over_is_not_brought_to_who_comes_later(made, since, found):
    made.store(1, ttl=5)
    made.now += since
    made.deliver(made.enter(head=1, oldest=1), 1)
    assert made.found() == found
