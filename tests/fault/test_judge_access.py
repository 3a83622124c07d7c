"""The checker judges receipts, a revoke, and a device's position: what none of the three may ever be, and what outages
excuse."""
import pytest
from made import Made
from outages import ANYWHERE, Outages
from owners import Access


@pytest.fixture
def made():
    return Made(limit=3)


# ---- receipts ----

def receipt(made, count, seq=1):
    made.history.delivered(f"m{seq}", count)


@pytest.mark.parametrize("later, found", [(0.5, set()), (1.5, {"false_receipt"})])
def test_a_receipt_counts_devices_that_have_it(made, later, found):
    made.store(1)
    one, two = made.enter(), made.enter("bob/phone")
    made.deliver(one, 1)
    receipt(made, 1)
    receipt(made, 2)
    made.now += later
    made.deliver(two, 1)
    assert made.found() == found


def test_a_receipt_counts_no_device_twice_and_no_poll(made):
    made.store(1)
    one = made.enter()
    made.deliver(one, 1)
    one.closed(1006)
    made.deliver(made.enter(resume="exact", head=1, oldest=1), 1)
    made.poll(0, made.page(1, made.update(1)), first=True)
    receipt(made, 1)
    assert made.found() == set()
    receipt(made, 2)
    assert made.found() == {"false_receipt"}


@pytest.mark.parametrize("count, found", [(1, set()), (2, {"false_receipt"})])
def test_a_receipt_for_a_user_counts_this_users_devices(made, count, found):
    made.store(1)
    made.direct(2)
    one, two = made.enter(), made.enter("bob/phone")
    made.deliver(one, 1)
    made.deliver(two, 1)
    one.message(made.update(2, own=1))
    receipt(made, count, seq=2)
    assert made.found() == found


@pytest.mark.parametrize("acknowledged, found", [(2, set()), (1, {"false_receipt"})])
def test_a_device_that_acknowledges_itself_has_what_it_acknowledged(made, acknowledged, found):
    made.store(1, 2)
    device = made.enter(acks=True)
    made.deliver(device, 1, 2)
    made.history.confirm("alice/phone", 7, acknowledged)
    receipt(made, 1, seq=2)
    assert made.found() == found


# ---- revoke ----

class Clinic(Made):
    """One where alice is shut out of room 7 and let in again."""

    def __init__(self, calm=True):
        self.access = Access(clock=lambda: self.now, calm=lambda *_: calm)
        super().__init__(limit=3, access=self.access)

    def change(self, what):
        self.access.ask(7, "alice", what)
        self.now += 1
        self.access.done(7, "alice")
        self.now += 1

    def begin(self, after=0):
        began = self.now
        self.now += after
        return self.enter(user="alice", began=began, place="edge0")


def test_who_is_shut_out_gets_nothing_more():
    clinic = Clinic()
    device = clinic.begin()
    clinic.store(1)
    clinic.change("revoke")
    clinic.deliver(device, 1)  # it was on its way
    assert clinic.found() == set()
    clinic.store(2)
    clinic.deliver(device, 2)
    assert clinic.found() == {"after_revoke"}


def test_what_is_sent_before_the_answer_may_come():
    clinic = Clinic()
    device = clinic.begin()
    clinic.access.ask(7, "alice", "revoke")
    clinic.store(1)
    clinic.now += 1
    clinic.access.done(7, "alice")
    clinic.deliver(device, 1)
    device.closed(1008)
    assert clinic.found() == set()


def test_what_was_sent_meanwhile_comes_after_a_grant_or_is_lost():
    clinic = Clinic()
    device = clinic.begin()
    clinic.change("revoke")
    device.closed(1008)
    clinic.store(1, 2)
    assert clinic.found() == set() and clinic.history.missing() == []
    clinic.access.ask(7, "alice", "grant")
    device = clinic.begin()
    clinic.deliver(device, 2)
    assert clinic.found() == {"lost"}
    clinic.now += 1
    clinic.access.done(7, "alice")


@pytest.mark.parametrize("began, found", [(0, {"after_revoke"}), (3, set())])
def test_who_is_shut_out_is_not_let_in(began, found):
    clinic = Clinic()
    clinic.change("revoke")
    if began:
        clinic.now -= began  # it was asked for before the answer
        clinic.begin(after=began)
    else:
        clinic.begin()
    assert clinic.found() == found


@pytest.mark.parametrize("calm, seconds, found", [(True, 6, {"after_revoke"}), (True, 3, set()), (False, 6, set())])
def test_who_is_shut_out_loses_the_connection(calm, seconds, found):
    clinic = Clinic(calm)
    device = clinic.begin()
    clinic.now += 1
    clinic.change("revoke")
    clinic.now += seconds
    assert clinic.found() == found
    assert clinic.history.intruders() == ["alice/phone in 7"]
    device.closed(1008)
    assert clinic.found() == found and clinic.history.intruders() == []


def test_one_who_does_not_read_does_not_see_the_end():
    clinic = Clinic()
    device = clinic.begin()
    clinic.now += 1
    device.paused()
    clinic.change("revoke")
    clinic.now += 60
    device.resumed()
    device.closed(1008)
    assert clinic.found() == set()


def test_who_may_watch():
    clinic = Clinic()
    access, before = clinic.access, clinic.now
    assert access.may(7, "alice", before, clinic.now) and access.shut(7, "alice") is None
    clinic.change("revoke")
    between = clinic.now
    assert not access.may(7, "alice", before, clinic.now) and access.shut(7, "alice") == between - 1
    clinic.change("grant")
    assert not access.may(7, "alice", between, clinic.now)
    assert access.may(7, "alice", clinic.now, clinic.now + 1) and access.shut(7, "alice") is None


# ---- what outages excuse ----

class Stormy(Made):
    def __init__(self):
        self.outages = Outages(clock=lambda: self.now)
        super().__init__(settled=self.outages.settled)

    def outage(self, name, how, seconds):
        span = self.outages.begin(name, how)
        self.now += seconds
        self.outages.end(span)

    def comes_back(self, *seqs, gaps=(), seconds=0.0):
        """A device that acknowledges itself is there so long."""
        device = self.enter(resume="exact", head=9, oldest=1, place="edge0", acks=True)
        for first, last in gaps:
            device.message(self.gap(first, last))
        self.deliver(device, *seqs)
        self.now += seconds
        device.closed(1006)

    def visits(self, outages, place="edge0", **options):
        """It gets a message, goes on for a while, and comes back: is the message repeated?"""
        self.store(1)
        device = self.enter(head=1, oldest=1, place=place, **options)
        self.deliver(device, 1)
        if options.get("acks"):
            self.history.confirm("alice/phone", 7, 1)
        for name, how, seconds in outages:
            if name:
                self.outage(name, how, seconds)
            else:
                self.now += seconds
        device.leaves()
        device.closed(1000)
        self.now += 0.5
        self.deliver(self.enter(resume="exact", head=1, oldest=1, place="edge1", **options), 1)
        return self.found()


@pytest.mark.parametrize("outages, found", [
    ([(None, "", 7)], set()),                                             # the overlap
    ([(None, "", 9)], {"repeated"}),
    ([(None, "", 1), ("edge0", "freeze", 15), (None, "", 9)], set()),     # 3 s to settle, then 6
    ([(None, "", 1), ("edge0", "freeze", 15), (None, "", 12)], {"repeated"}),
    ([(None, "", 1), ("edge1", "freeze", 15)], {"repeated"}),             # it had nothing to do with that one
    ([(None, "", 9), ("hub", "freeze", 10)], {"repeated"}),
    ([(None, "", 9), ("hub", "kill", 1)], set()),                         # it may not be written
    ([(None, "", 15), ("hub", "kill", 1)], {"repeated"}),
])
def test_a_position_moves_while_nothing_is_disturbed(outages, found):
    assert Stormy().visits(outages) == found


@pytest.mark.parametrize("place, found", [(ANYWHERE, set()), ("edge0", {"repeated"})])
def test_a_derived_device_is_held_back_by_an_edge_that_has_not_noticed_an_end(place, found):
    assert Stormy().visits([(None, "", 1), ("edge1", "freeze", 15)], place=place) == found


@pytest.mark.parametrize("outages, found", [
    ([(None, "", 1)], set()),
    ([(None, "", 2.5)], {"repeated"}),
    ([(None, "", 2.5), ("hub", "kill", 1)], set()),
    ([(None, "", 9), ("hub", "kill", 1)], {"repeated"}),
])
def test_what_a_device_acknowledged_is_not_repeated_however_soon(outages, found):
    assert Stormy().visits(outages, acks=True) == found


@pytest.mark.parametrize("again", [{"seqs": (1,)}, {"gaps": [(1, 1)]}])
@pytest.mark.parametrize("acknowledged, found", [(False, set()), (True, {"repeated"})])
def test_what_was_acknowledged_and_lost_with_the_hub_is_acknowledged_anew(again, acknowledged, found):
    stormy = Stormy()
    stormy.store(1, 2)
    stormy.comes_back(1, 2)
    stormy.history.confirm("alice/phone", 7, 2)
    stormy.outage("hub", "kill", 1)
    stormy.comes_back(*again.get("seqs", ()), gaps=again.get("gaps", ()), seconds=9)
    one = stormy.enter(resume="exact", head=2, oldest=1, place="edge0", acks=True)
    stormy.deliver(one, 2)
    if acknowledged:
        stormy.history.confirm("alice/phone", 7, 2)
        stormy.now += 3
    one.closed(1006)
    stormy.comes_back(2)
    assert stormy.found() == found


@pytest.mark.parametrize("seconds, found", [(1, set()), (10, {"silent_gap"})])
def test_a_device_that_was_known_is_known(seconds, found):
    stormy = Stormy()
    one = stormy.enter(place="edge0")
    stormy.now += seconds
    one.closed(1006)
    stormy.enter(resume="new", place="edge0")
    assert stormy.found() == found


def test_one_that_did_not_read_may_have_ended_before():
    stormy = Stormy()
    stormy.store(1)
    one = stormy.enter(head=1, oldest=1, place="edge0")
    stormy.deliver(one, 1)
    stormy.now += 1
    one.paused()
    stormy.now += 20
    one.resumed()
    one.closed(1006)
    stormy.deliver(stormy.enter(resume="exact", head=1, oldest=1, place="edge0"), 1)
    assert stormy.found() == set()
