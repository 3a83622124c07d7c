"""The clinic's dashboard (cmd/diagws-clinic/www) in a real Chromium, on a real hub and two real edges.

The page is asked only for what a person sees: its words, its shape, its pictures (build/screens). Where a test is about
messages, its files are served without the clinic, beside a config.json that names the edges; else by diagws-clinic.
"""
import asyncio
import contextlib
import itertools
import json
import shutil
import signal

import pytest

from chromium import Chromium, serving_pages
from conftest import BIN, BUILD, EFFECTIVENESS, PATIENCE, ROOT, Edge, Process, free_port, npm, until, used

WWW = ROOT / "cmd" / "diagws-clinic" / "www"
SCREENS = BUILD / "screens"
ROOM = "101"
WAIT = 3 * PATIENCE

# What the browser itself says of the page: broken rules of its policy, errors that nobody caught, connections made.
WATCHED = """
window.told = []; window.opened = 0;
addEventListener("securitypolicyviolation", (event) => told.push(`${event.violatedDirective} ${event.blockedURI}`));
addEventListener("error", (event) => told.push(event.message));
addEventListener("unhandledrejection", (event) => told.push(String(event.reason)));
window.WebSocket = class extends WebSocket { constructor(...about) { super(...about); window.opened++; } };
"""


class Page:
    """A tab with the dashboard, asked by whoever does not want to wait in coroutines."""

    def __init__(self, run, tab, origin):
        self.run, self.tab, self.origin = run, tab, origin
        run(tab.first_of_all(WATCHED))

    def open(self, token, room=ROOM):
        self.run(self.tab.open(f"{self.origin}/#diagnosis={room}&token={token}"))

    def leave(self):
        """Its connection is closed then."""
        self.run(self.tab.open("about:blank"))
        self.until("location.href === 'about:blank'", "the page to be left")

    def come_back(self):
        self.run(self.tab.open(self.origin + "/"))

    def ask(self, expression):
        return self.run(self.tab.ask(expression))

    def text(self, selector):
        return self.ask(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")

    def texts(self, selector):
        return self.ask(f"[...document.querySelectorAll({json.dumps(selector)})].map((one) => one.innerText)") or []

    def click(self, selector):
        self.ask(f"document.querySelector({json.dumps(selector)}).click()")

    def fill(self, selector, text):
        self.ask(f"document.querySelector({json.dumps(selector)}).focus()")
        self.run(self.tab.write(text))

    def until(self, expression, what):
        try:
            return until(lambda: self.ask(expression), what, WAIT)
        except AssertionError as gave_up:
            raise AssertionError(f"{gave_up}; the page: {self.text('body')}") from None

    def until_state(self, *states):
        self.until(f"{json.dumps(states)}.includes(document.getElementById('state').dataset.state)", states)

    def until_text(self, selector, words):
        self.until(f"document.querySelector({json.dumps(selector)})?.innerText.includes({json.dumps(words)})",
                   f"{words} in {selector}")

    def count(self, name):
        return int(self.text(f"#{name}"))

    def events(self):
        return self.texts("#event-list li > span:first-of-type")

    def unhappy(self):
        return self.ask("told")


@pytest.fixture(scope="module")
def chromium():
    with asyncio.Runner() as runner:
        chromium = Chromium()
        runner.run(chromium.__aenter__())
        try:
            chromium.run = runner.run
            yield chromium
        finally:
            runner.run(chromium.__aexit__())


@pytest.fixture
def browser(chromium):
    """As if it had been installed just now: browser.tab() makes its tabs."""
    profile = chromium.run(chromium.stranger())
    chromium.tab = lambda: chromium.run(chromium.another(profile))
    yield chromium
    chromium.run(chromium.forget(profile))


@pytest.fixture
def site(world):
    """The page at site.origin, a hub, two edges (the page goes to the first), and alice who may watch 101."""
    folder = world.path / "www"
    shutil.copytree(WWW, folder)
    world.pages = contextlib.ExitStack()
    with world.pages:
        world.origin = world.pages.enter_context(serving_pages(folder))
        world.the_hub = world.hub("--queue-limit", 30)
        world.edges = [world.edge("--origin", world.origin) for _ in range(2)]
        (folder / "config.json").write_text(json.dumps({
            "edges": [f"ws://127.0.0.1:{edge.port}" for edge in world.edges], "api": False, "version": "test"}))
        world.alice = world.user("alice", ROOM)
        world.number = itertools.count(1)
        yield world


@pytest.fixture
def page(site, browser):
    """The dashboard, open and live; whatever a test does with it, it breaks no rule and loses no error."""
    page = Page(browser.run, browser.tab(), site.origin)
    page.open(site.alice)
    page.until_state("live")
    yield page
    assert page.unhappy() == []


def tell_effect(site, effectiveness, recommendation=1, herb="Chamomile", **more):
    return site.send("effectiveness_update", ROOM, {
        **EFFECTIVENESS, "recommendation_id": recommendation, "herb_name": herb, "new_effectiveness": effectiveness,
        "sample_size": 21, "trend": "improving", **more})


def tell_ranking(site, *herbs, added=(), removed=()):
    """Herbs by number, the best first."""
    return site.send("recommendation_update", ROOM, {
        "old_data": {"ranking": []}, "new_data": {"ranking": [
            {"recommendation_id": number, "herb_name": herb, "predicted_effectiveness": 0.9 - 0.2 * place}
            for place, (number, herb) in enumerate(herbs)]},
        "added_recommendations": list(added), "removed_recommendations": list(removed), "reason": "feedback"})


def tell_feedback(site, rating, comment=None):
    return site.send("feedback_update", ROOM, {
        "feedback_id": next(site.number), "rating": rating, "effectiveness": 0.8, "recommendation_id": 1,
        "herb_name": "Chamomile", **({"comment": comment} if comment else {})})


SAFFRON, CHAMOMILE, MINT = (2, "زعفران"), (1, "Chamomile"), (3, "نعناع")


def tell_notes(site, count):
    """More than the 30 that the hub keeps, and of no use to the page."""
    site.run("diagws-send", "-l", input="".join(json.dumps({
        "type": "note_update", "diagnosis_id": int(ROOM), "data": {"note": note}}) + "\n" for note in range(count)))


def test_updates_become_scores_marks_and_events(site, page):
    assert page.text("#state") == "Live: caught up"
    assert page.ask("location.hash") == f"#diagnosis={ROOM}", "the token left the address"
    assert page.ask("document.getElementById('feedback').hidden"), "no API, no form"
    tell_effect(site, 0.62, old_effectiveness=None)
    tell_effect(site, 0.76, old_effectiveness=0.62)
    tell_ranking(site, CHAMOMILE, SAFFRON, MINT)
    tell_ranking(site, SAFFRON, CHAMOMILE, added=[2], removed=[3])
    tell_feedback(site, 4, comment="<b>خیلی</b> بهتر")
    page.until("document.querySelectorAll('#event-list li').length === 5", "five events")
    assert page.texts(".herb") == ["زعفران", "Chamomile", "نعناع"]
    assert page.texts(".tag") == ["New in the list", "No longer recommended"]
    assert page.text("#active") == "2 active"
    first, second, _ = page.texts(".measures")
    assert "90.0%" in first and "Strong" in first and "Not measured yet" in first
    assert "70.0%" in second and "Fair" in second and "76.0%" in second and "21 records" in second
    assert page.ask("document.querySelector('.card:nth-child(2) .line').getAttribute('aria-label')").endswith(
        "from 62.0% to 76.0%")
    assert page.text("#overall .share") == "76.0%"
    assert [page.count(name) for name in ("updates", "changes", "improvements")] == [5, 2, 1]
    events = page.events()
    assert events[0].endswith(": 4 of 5") and "1 added, 1 removed" in events[1] and "62.0% to 76.0%" in events[3]
    assert "<b>خیلی</b> بهتر" in page.text("#event-list"), "text stays text"
    page.until_text("#live", "5 new events")

    # A reload goes on where it was and counts nothing twice; the keyboard reaches what is to be pressed.
    page.leave()
    late = tell_effect(site, 0.2, recommendation=2, herb="زعفران", old_effectiveness=None)
    page.come_back()
    page.until("document.querySelectorAll('#event-list li').length === 6", "what was sent meanwhile")
    assert [page.count(name) for name in ("updates", "changes", "improvements")] == [6, 2, 1]
    assert "Poor" in page.texts(".measures")[0] and late["seq"] > 0
    page.ask("document.getElementById('clear').focus()")
    page.run(page.tab.press("Enter", text="\r"))
    page.until("document.querySelectorAll('#event-list li').length === 0", "no events")
    assert page.count("updates") == 6


def test_an_edge_is_killed_and_then_the_hub(site, page):
    site.edges[0].kill()
    meanwhile = tell_feedback(site, 3)
    page.until("document.querySelectorAll('#event-list li').length === 1", "what was sent while it was on its way")
    page.until_state("live")
    assert page.ask("opened") >= 2
    opened = page.ask("opened")
    site.the_hub.kill()
    site.hub("--queue-limit", 30)
    until(lambda: site.edges[1].ready(), "the edge with the new hub")
    assert tell_feedback(site, 5)["seq"] > meanwhile["seq"]
    page.until("document.querySelectorAll('#event-list li').length === 2", "what the new hub stored")
    assert page.count("updates") == 2
    assert page.ask("opened") == opened, "the connection outlived the hub"
    assert page.texts(".notice") == []


def test_a_token_is_renewed_on_the_connection_or_after_its_end(site, page):
    opened = page.ask("opened")
    page.ask(f"location.hash = '#diagnosis={ROOM}&token={site.token('alice', '--ttl', '12s')}'")
    page.until_text("#notices", "The new token is good until")
    page.until_text("#notices", "The token ends at")
    assert page.text("#sign-in-title") == "A new token"
    assert page.text("#state") == "Live: caught up", "it ends only later"
    page.fill("#token", site.token("bob"))
    page.click("#sign-in-form button")
    page.until_text("#sign-in-why", "another user's")
    page.until_state("refused")
    assert page.text("#state") == "Refused: the token has expired"
    assert page.ask("opened") == opened, "all of it on one connection"
    missed = tell_feedback(site, 2)
    page.ask("document.getElementById('token').value = ''")
    page.fill("#token", site.token("alice", "--ttl", "1h"))
    page.run(page.tab.press("Enter", text="\r"))
    page.until_state("live")
    page.until("document.querySelectorAll('#event-list li').length === 1", f"{missed}")
    assert page.ask("document.getElementById('sign-in').hidden")
    page.ask("document.querySelector('#feedback-form [name=comment]').value = 'of 101'")
    page.ask(f"location.hash = '#diagnosis={ROOM}&token={site.token('alice', '--ttl', '2h')}'")
    page.until_text("#notices", "The new token is good until")
    page.ask(f"location.hash = '#diagnosis=102&token={site.token('alice')}'")
    page.until_text("#state", "Refused: this token does not allow this diagnosis")
    assert page.ask("document.querySelector('#feedback-form [name=comment]').value") + page.text("#notices") == ""
    assert page.text("#event-list") == "", "nothing of the other diagnosis"


def test_offline_and_back(site, page):
    """The edges are stopped, too: a browser told to be offline leaves open connections alone, and a silent one it is."""
    for edge in site.edges:
        edge.signal(signal.SIGSTOP)
    page.run(page.tab.offline(True))
    page.until_state("offline")
    assert page.text("#state") == "Offline"
    tell_feedback(site, 1)
    for edge in site.edges:
        edge.signal(signal.SIGCONT)
    page.run(page.tab.offline(False))
    page.until("document.querySelectorAll('#event-list li').length === 1", "what was sent meanwhile")
    page.until_state("live")
    assert page.count("updates") == 1


def test_what_is_missing_is_said(site, page):
    tell_feedback(site, 5)
    page.until("document.querySelectorAll('#event-list li').length === 1", "the first")
    page.leave()
    site.edges[0].kill()
    tell_notes(site, 33)
    page.come_back()
    page.until_text("#notices", "3 messages are missing here (too many to keep).")
    page.until_state("live")
    assert page.count("updates") == 31
    assert len(page.texts("#event-list li")) == 20
    site.edges[1].kill()
    tell_notes(site, 32)
    site._keep(Edge(site, site.edges[0].port, ["--origin", site.origin]))
    page.until_text("#notices", "5 messages are missing here (too many to keep).")
    page.click(".notice button")
    page.until("document.querySelector('.notice') === null", "the notice to go")


def test_broken_settings_are_asked_for_again(site, page):
    page.leave()
    settings = site.path / "www" / "config.json"
    good = json.loads(settings.read_text())
    settings.write_text('{"edges":')
    page.come_back()
    page.until_text("#state", "Connection lost: trying again")
    settings.write_text(json.dumps({**good, "edges": ["no address", "javascript:0", *good["edges"]]}))
    page.until_state("live")


def test_an_edge_serves_the_page_by_itself(world, browser):
    """As diagws up does: no config.json, so that the edge is the page's own origin."""
    world.hub()
    edge = world.edge("--www", WWW)
    page = Page(browser.run, browser.tab(), edge.url("").rstrip("/"))
    page.open(world.user("alice", ROOM))
    page.until_state("live")
    world.number = itertools.count(1)
    tell_feedback(world, 5)
    page.until_text("#event-list", "5 of 5")
    assert page.unhappy() == []


def test_two_tabs_do_not_take_each_others_place(site, browser, page):
    tell_feedback(site, 4)
    page.until("document.querySelectorAll('#event-list li').length === 1", "the first")
    other = Page(browser.run, browser.tab(), site.origin)
    other.open(site.alice)
    other.until_state("live")
    assert (len(other.events()), other.count("updates")) == (1, 0), "it counts since it was opened"
    for rating in (1, 2, 3):
        tell_feedback(site, rating)
    for tab, updates in ((page, 4), (other, 3)):
        tab.until("document.querySelectorAll('#event-list li').length === 4", "all four")
        assert (tab.count("updates"), tab.text("#state")) == (updates, "Live: caught up")
        assert tab.ask("opened") == 1
    assert other.unhappy() == []


def test_the_shell_opens_offline_and_nothing_else_is_kept(site, page):
    page.until("navigator.serviceWorker.controller !== null", "the service worker")
    kept = page.ask("caches.keys().then(async (names) => (await Promise.all(names.map(async (name) => "
                    "(await (await caches.open(name)).keys()).map((one) => new URL(one.url).pathname)))).flat())")
    assert sorted(kept) == sorted("/" + path.name.replace("index.html", "") for path in WWW.iterdir()
                                  if path.name != "sw.js")
    site.pages.close()
    page.come_back()
    page.until_text("#state", "Connection lost: trying again")
    assert page.text("#overview-title") == "Overall effectiveness"
    assert page.ask("fetch('config.json').then(() => 'answered', () => 'no answer')") == "no answer"


def test_what_no_clinic_would_send_breaks_nothing(site, page):
    """A sender may put anything into the members that no rule names: the page shows what it can, and goes on."""
    odd, long = {"toString": 1}, "x" * 60000
    tell_ranking(site, SAFFRON, CHAMOMILE)
    for herb in (odd, ["a"], 7, long):
        tell_effect(site, 0.5, herb=herb, trend=odd, average_rating="4", old_effectiveness="0.9")
    tell_effect(site, 0.5, recommendation=4, herb=None, trend="constructor")
    for ranking, ids in ((odd, odd), ([{"recommendation_id": 1}, {"recommendation_id": 1}, None, 5], "12"), (7, [odd, "2"])):
        site.send("recommendation_update", ROOM, {
            "old_data": {}, "new_data": {"ranking": ranking}, "added_recommendations": ids, "removed_recommendations": ids})
    site.send("feedback_update", ROOM, {"feedback_id": 1, "rating": 3, "effectiveness": 0.5, "herb_name": odd})
    page.until("document.querySelectorAll('#event-list li').length === 10", "all of them")
    assert page.texts(".herb") == ["x" * 500]
    assert page.texts(".with-icon") == [] and "undefined" not in page.text("#board") + page.text("#event-list")
    assert page.ask("""import("./state.js").then(({emptyState, takeUpdate}) => {
        const state = emptyState();
        for (let n = 0; n < 1000; n++)
            takeUpdate(state, {type: "effectiveness_update", data: {recommendation_id: n, herb_name: "y".repeat(60000),
                new_effectiveness: 0.5}}, false);
        return JSON.stringify(state).length;
    })""") < 1000000, "what is known stays bounded"


def test_a_browser_that_keeps_nothing(site, browser):
    page = Page(browser.run, browser.tab(), site.origin)
    page.run(page.tab.first_of_all("for (const name of ['localStorage', 'sessionStorage'])"
             "Object.defineProperty(window, name, { get() { throw new DOMException('refused', 'SecurityError'); } });"))
    page.open(site.alice)
    page.until_state("live")
    tell_feedback(site, 5)
    page.until_text("#event-list", "5 of 5")
    page.click("#language")
    page.until("document.documentElement.dir === 'rtl'", "right to left")
    assert page.unhappy() == []


# ---- with the clinic ----

@pytest.fixture
def made_up(world):
    """A made-up clinic with its page, a hub, an edge, and alice who owns 101."""
    port = free_port()
    world.origin = f"http://127.0.0.1:{port}"
    world.env["DIAGWS_CLINIC_DB"] = str(world.path / "clinic.db")
    world.hub()
    world.edges = [world.edge("--origin", world.origin)]
    world.run("diagws-clinic", "init")
    world.run("diagws-clinic", "demo")
    world.alice = world.user("alice", ROOM)
    world.serve = lambda: world._keep(Process(world, "diagws-clinic", [
        BIN / "diagws-clinic", "serve", "--listen", f"127.0.0.1:{port}", "--keys", world.keys, "--www", WWW,
        "--edge", f"ws://127.0.0.1:{world.edges[0].port}"]))
    world.clinic = world.serve()
    until(lambda: "ready" in world.clinic.said() or world._must_live(world.clinic), "the clinic")
    world.number = itertools.count(1)
    return world


@pytest.fixture
def clinic_page(made_up, browser):
    page = Page(browser.run, browser.tab(), made_up.origin)
    page.open(made_up.alice)
    page.until_state("live")
    page.until("document.querySelectorAll('.why').length > 1 && document.querySelectorAll('.line').length > 1", "its scores")
    yield page
    assert page.unhappy() == []


def answer(page, **given):
    for name, value in given.items():
        page.click(f"#feedback-form [name={name}][value='{value}']")


def test_feedback_comes_back_as_events(made_up, clinic_page):
    page = clinic_page
    predicted = json.loads(made_up.run("diagws-clinic", "predict", ROOM, "--json").stdout)
    measured = json.loads(made_up.run("diagws-clinic", "analytics", "diagnosis", ROOM, "--json").stdout)
    names = [one["herb_name"] for one in predicted["predictions"]]
    assert page.texts(".herb") == names
    assert page.texts(".why")[0].endswith(predicted["predictions"][0]["reasoning"]["en"])
    effects = [one["effectiveness"] for one in measured["recommendations"] if one["effectiveness"] is not None]
    assert page.text("#overall .share") == f"{100 * sum(effects) / len(effects):.1f}%"
    assert page.text("footer") == ("A rule of thumb, not medicine. Model 1.0, from "
                                   f"{predicted['sample_size']} records of feedback.")

    page.click("#feedback-form [type=submit]")
    assert page.text("#rating-said") == "1 is the worst, 5 the best"
    answer(page, rating=5, symptom_improvement=4)
    page.fill("#feedback-form [name=comment]", "خ" * 501)
    page.click("#feedback-form [type=submit]")
    assert page.text("#comment-said") == "At most 500 characters, please."
    page.ask("document.querySelector('#feedback-form [name=comment]').value = ''")
    page.fill("#feedback-form [name=comment]", "خ" * 500)
    page.click("#feedback-form [type=submit]")
    page.until("document.getElementById('feedback-said').textContent !== ''", "the clinic's word")
    assert page.text("#feedback-said") in ("Thank you. It was stored.", "Your earlier feedback was changed.")
    page.until_text("#event-list", "5 of 5")
    answer(page, rating=1, symptom_improvement=1)
    page.click("#feedback-form [type=submit]")
    page.until_text("#feedback-said", "Your earlier feedback was changed.")
    page.until_text("#event-list", "1 of 5")
    page.until_text("#event-list", "the effect")

    before = page.texts(".card .share")[0]
    page.ask("document.getElementById('optimization').value = 'conservative'")
    page.ask("document.getElementById('optimization').dispatchEvent(new Event('change'))")
    page.until(f"document.querySelector('.card .share').innerText !== '{before}'", "lower scores")
    made_up.clinic.kill()
    page.click("#refresh")
    page.until_text("#notices", "The clinic does not answer.")
    assert page.text("#state") == "Live: caught up"
    page.ask("window.asked = fetch; window.fetch = async () => { throw new TypeError('cut'); }")
    answer(page, rating=2, symptom_improvement=2)
    page.click("#feedback-form [type=submit]")
    page.until_text("#feedback-said", "it may be stored or not")
    page.ask("window.fetch = async () => new Response('<p>busy', {status: 429})")
    made_up.serve()
    page.click("#refresh")
    page.until_text("#notices", "The clinic refused: 429")
    page.ask("window.fetch = asked")
    page.until("document.querySelector('.notice') === null", "the clinic's scores, asked for again without a click")


# ---- how it looks ----

CUT = """[...document.querySelectorAll("body *")].filter((one) => one.clientWidth > 0 && one.scrollWidth > one.clientWidth + 1
	&& !one.closest(".unseen, select, svg, .choices")).map((one) => `${one.tagName} ${one.id} ${one.className}`)"""


def populate(site, page):
    """Marks, events in both directions of writing, and a notice."""
    now = json.loads(site.run("diagws-clinic", "predict", ROOM, "--json").stdout)["predictions"]
    ranking = [(one["recommendation_id"], one["herb_name"]) for one in now]
    tell_effect(site, 0.76, *ranking[0], old_effectiveness=0.62)
    tell_ranking(site, *reversed(ranking), (99, "Valerian root, dried and ground, Valerianaofficinalis"), added=[ranking[0][0]])
    tell_ranking(site, *reversed(ranking), added=[ranking[0][0]], removed=[99])
    tell_feedback(site, 4, comment="خیلی بهتر می‌خوابم، ممنون")
    page.until("document.querySelectorAll('#event-list li').length === 4", "all events")
    page.until("document.querySelectorAll('.tag').length === 2", "both marks")
    page.ask(f"location.hash = '#diagnosis={ROOM}&token={site.alice}'")
    page.until("document.querySelector('.notice') !== null", "a notice")


def accessible(page, axe):
    """Neither axe-core nor the eye finds that it lacks anything: nothing is cut off, and nothing scrolls sideways."""
    assert page.ask("document.documentElement.scrollWidth === document.documentElement.clientWidth")
    assert page.ask(CUT) == []
    page.ask("window.axe !== undefined") or page.ask(axe + "; true")
    found = page.ask("axe.run().then(({violations}) => violations.map((one) => "
                     "`${one.id}: ${one.nodes.map((node) => node.html.slice(0, 120))}`))")
    assert found == []


def test_every_width_direction_and_theme(made_up, clinic_page):
    page = clinic_page
    modules = npm(ROOT / "tests" / "browser" / "axe")
    axe = (modules / "axe-core" / "axe.min.js").read_text()
    used("axe-core " + json.loads((modules / "axe-core" / "package.json").read_text())["version"])
    populate(made_up, page)
    for language in ("en", "fa"):
        if language == "fa":
            page.click("#language")
            page.until("document.documentElement.dir === 'rtl'", "right to left")
            page.until_text("#state", "زنده")
            assert page.text("#updates") == "۴"
        for theme in ("light", "dark"):
            page.run(page.tab.prefer(color_scheme=theme, reduced_motion="reduce"))
            for width in (320, 768, 1280):
                page.run(page.tab.resize(width))
                page.until(f"document.documentElement.clientWidth === {width}", "the width")
                assert page.ask("document.documentElement.scrollWidth") == width
                assert page.ask(CUT) == []
                page.run(page.tab.screenshot(SCREENS / f"dashboard-{language}-{theme}-{width}.png"))
            accessible(page, axe)
    page.click("#sign-out")
    page.until_text("#sign-in", "توکن")
    page.until("document.documentElement.dir === 'rtl' && document.readyState === 'complete'", "the page, made anew")
    page.run(page.tab.resize(320))
    page.until("document.documentElement.clientWidth === 320", "the width")
    page.run(page.tab.screenshot(SCREENS / "sign-in-fa-dark-320.png"))
    page.ask(f"location.hash = '#diagnosis={64 * 'W'}'")
    page.until_text("#diagnosis", 64 * "W")
    assert page.ask("document.documentElement.scrollWidth") == 320
