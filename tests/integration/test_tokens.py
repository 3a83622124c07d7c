"""Tokens at both doors: what a WebSocket and an HTTP call answer to each token that is wrong, and to right ones.

Tokens that diagws-token would never make are made here by hand.
"""
import asyncio
import base64
import hashlib
import hmac
import json
import signal
import time

import pytest

from conftest import EFFECTIVENESS, PATIENCE, closed, receive, shared_world, until
from held import RSA, key_pair

FOREVER = 4102444800  # 2100
PUBLISH = "/ws/broadcast-effectiveness-update"
UPDATE = {"diagnosis_id": 123, **EFFECTIVENESS}


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token_of(header, claims, secret=None):
    """A token of exactly these parts; claims: what becomes JSON, or JSON. Without a secret: no signature."""
    text = claims if isinstance(claims, str) else json.dumps(claims)
    signed = encode(json.dumps(header).encode()) + "." + encode(text.encode())
    made = b"" if secret is None else hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return signed + "." + encode(made)


def flip(token, part):
    """The same with one bit of a part changed."""
    parts = token.split(".")
    at = len(parts[part]) // 2
    parts[part] = parts[part][:at] + ("B" if parts[part][at] != "B" else "C") + parts[part][at + 1:]
    return ".".join(parts)


def outcome(edge, token, room="123"):
    """(code, reason) of a close, or the type of the first message."""
    async def connect():
        async with edge.connect(room, token) as socket:
            try:
                return (await receive(socket))["type"]
            except Exception:
                return await closed(socket)
    return asyncio.run(connect())


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A hub, and an edge with a key of each kind: test.hs256, rs.rs256.pem, es.es256.pem."""
    with shared_world(tmp_path_factory) as world:
        world.rsa = key_pair(world, "rs.rs256.pem", *RSA)
        world.ec = key_pair(world, "es.es256.pem", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        world.hub()
        world.the_edge = world.edge()
        world.grant("123", "alice")
        yield world


CLAIMS = {"sub": "alice", "exp": FOREVER}


def forge(site, claims=CLAIMS, secret=None, **header):
    given = {"alg": "HS256", "typ": "JWT", "kid": "test", **header}
    header = {name: value for name, value in given.items() if value is not None}
    return token_of(header, claims, site.key.read_bytes().strip() if secret is None else secret)


WRONG = {
    "no form": lambda site: "x",
    "two parts": lambda site: forge(site).rpartition(".")[0],
    "four parts": lambda site: forge(site) + ".x",
    "three dots": lambda site: "...",
    "padding": lambda site: forge(site) + "=",
    "header no JSON": lambda site: "YWJj." + forge(site).partition(".")[2],
    "payload no object": lambda site: forge(site, "[]"),
    "payload no JSON": lambda site: forge(site, "{"),
    "claim twice": lambda site: forge(site, '{"sub":"alice","sub":"bob","exp":%d}' % FOREVER),
    "none": lambda site: token_of({"alg": "none", "typ": "JWT", "kid": "test"}, CLAIMS),
    "nOnE": lambda site: token_of({"alg": "nOnE", "kid": "test"}, CLAIMS),
    "none, for a public key": lambda site: token_of({"alg": "none", "kid": "rs"}, CLAIMS),
    "none, signed": lambda site: forge(site, alg="none"),
    "no signature": lambda site: token_of({"alg": "HS256", "kid": "test"}, CLAIMS),
    "another secret": lambda site: forge(site, secret=b"s" * 64),
    "empty secret": lambda site: forge(site, secret=b""),
    "HS256 with the RSA public key": lambda site: forge(
        site, kid="rs", secret=(site.keys / "rs.rs256.pem").read_bytes()),
    "HS256 with the RSA public key, stripped": lambda site: forge(
        site, kid="rs", secret=(site.keys / "rs.rs256.pem").read_bytes().strip()),
    "HS256 with the EC public key": lambda site: forge(
        site, kid="es", secret=(site.keys / "es.es256.pem").read_bytes()),
    "RS256 with the secret": lambda site: forge(site, alg="RS256"),
    "HS512 for a key of HS256": lambda site: forge(site, alg="HS512"),
    "RSA's key under another kid": lambda site: site.token("alice", "--kid", "es", key=site.rsa),
    "unknown kid": lambda site: forge(site, kid="other"),
    "kid a path": lambda site: forge(site, kid="../keys/test"),
    "no kid, several keys": lambda site: forge(site, kid=None),
    "no alg": lambda site: forge(site, alg=None),
    "crit": lambda site: forge(site, crit=["exp"]),
    "header changed": lambda site: flip(forge(site), 0),
    "claims changed": lambda site: flip(forge(site), 1),
    "signature changed": lambda site: flip(forge(site), 2),
    "RSA signature changed": lambda site: flip(site.token("alice", key=site.rsa), 2),
    "no sub": lambda site: forge(site, {"exp": FOREVER}),
    "sub empty": lambda site: forge(site, {"sub": "", "exp": FOREVER}),
    "sub of 129 bytes": lambda site: forge(site, {"sub": "a" * 129, "exp": FOREVER}),
    "sub true": lambda site: forge(site, {"sub": True, "exp": FOREVER}),
    "no exp": lambda site: forge(site, {"sub": "alice"}),
    "exp a string": lambda site: forge(site, {"sub": "alice", "exp": str(FOREVER)}),
    "nbf to come": lambda site: forge(site, {**CLAIMS, "nbf": FOREVER - 1}),
    "over 4 KiB": lambda site: forge(site, {**CLAIMS, "more": "x" * 4096}),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_token_is_refused_at_both_doors(site, what):
    token = WRONG[what](site)
    assert outcome(site.the_edge, token) == (1008, "token invalid")
    assert_401(site.the_edge.request(PUBLISH, UPDATE, token), "token_invalid", "token invalid")


def assert_401(answer, code, message):
    status, headers, body = answer
    assert status == 401
    assert headers["WWW-Authenticate"] == "Bearer"
    assert headers["Content-Type"] == "application/json"
    assert body == {"success": False, "error": {"code": code, "message": message}, "detail": message}


def test_an_expired_token_is_told_so(site):
    token = forge(site, {"sub": "alice", "exp": int(time.time()) - 1})
    assert outcome(site.the_edge, token) == (1008, "token expired")
    assert_401(site.the_edge.request(PUBLISH, UPDATE, token), "token_expired", "token expired")


def test_a_forged_token_is_invalid_before_it_is_expired(site):
    token = forge(site, {"sub": "alice", "exp": 1}, secret=b"s" * 64)
    assert outcome(site.the_edge, token) == (1008, "token invalid")


@pytest.mark.parametrize("token", [None, ""])
def test_a_missing_token_is_asked_for(site, token):
    assert outcome(site.the_edge, token) == (1008, "token required")
    assert_401(site.the_edge.request(PUBLISH, UPDATE), "token_required", "token required")


def test_status_takes_no_wrong_token(site):
    """Nobody needs one there; who brings one and has it wrong is told."""
    assert_401(site.the_edge.request("/ws/status", token="x"), "token_invalid", "token invalid")
    assert site.the_edge.request("/ws/status")[0] == 200


@pytest.mark.parametrize("kind", ["hs", "rs", "es"])
def test_each_kind_of_key_lets_in(site, kind):
    token = site.token("alice", key={"hs": site.key, "rs": site.rsa, "es": site.ec}[kind])
    assert outcome(site.the_edge, token) == "connect"
    assert site.the_edge.request(PUBLISH, UPDATE, token)[0] == 200


def test_claims_at_their_bounds_let_in(site):
    user = "u" * 128
    site.grant("123", user)
    assert outcome(site.the_edge, forge(site, {"sub": user, "exp": FOREVER, "nbf": 1})) == "connect"


def test_the_bearer_header_opens_a_websocket(site):
    async def run():
        import websockets
        async with websockets.connect(f"ws://127.0.0.1:{site.the_edge.port}/ws/123",
                                      extra_headers={"Authorization": f"Bearer {site.token('alice')}"}) as socket:
            return (await receive(socket))["type"]
    assert asyncio.run(run()) == "connect"


def test_the_token_may_be_an_argument_of_a_call(site):
    assert site.the_edge.request(f"{PUBLISH}?token={site.token('alice')}", UPDATE)[0] == 200


def test_a_token_in_use_ends_with_its_exp(site):
    async def run():
        expires = int(time.time()) + 2
        async with site.the_edge.connect("123", forge(site, {"sub": "alice", "exp": expires})) as socket:
            assert (await receive(socket))["type"] == "connect"
            assert await closed(socket) == (1008, "token expired")
            return time.time() - expires
    assert -0.01 <= asyncio.run(run()) < 1 + PATIENCE / 10


def test_issuer_and_audience_are_demanded(world):
    world.hub()
    edge = world.edge("--issuer", "clinic", "--audience", "diagws")
    world.grant("123", "alice")
    for arguments in ([], ["--issuer", "clinic"], ["--audience", "diagws"],
                      ["--issuer", "other", "--audience", "diagws"], ["--issuer", "clinic", "--audience", "other"]):
        assert outcome(edge, world.token("alice", *arguments)) == (1008, "token invalid"), arguments
    assert outcome(edge, world.token("alice", "--issuer", "clinic", "--audience", "diagws")) == "connect"
    many = token_of({"alg": "HS256", "kid": "test"}, {**CLAIMS, "iss": "clinic", "aud": ["x", "diagws"]},
                    world.key.read_bytes().strip())
    assert outcome(edge, many) == "connect"


def test_leeway_forgives_a_little(world):
    world.hub()
    edge = world.edge("--leeway", "30s")
    world.grant("123", "alice")
    secret, now = world.key.read_bytes().strip(), int(time.time())

    def of(**times):
        return token_of({"alg": "HS256", "kid": "test"}, {"sub": "alice", **times}, secret)

    assert edge.request(PUBLISH, UPDATE, of(exp=now - 2))[0] == 200
    assert edge.request(PUBLISH, UPDATE, of(exp=FOREVER, nbf=now + 20))[0] == 200
    assert edge.request(PUBLISH, UPDATE, of(exp=now - 31))[0] == 401
    assert edge.request(PUBLISH, UPDATE, of(exp=FOREVER, nbf=now + 60))[0] == 401


def test_sighup_reads_the_keys_again(clinic):
    edge = clinic.the_edge
    second = clinic.keys / "second.hs256"
    second.write_text("k" * 64 + "\n")
    second.chmod(0o600)
    token = clinic.token("alice", key=second)
    assert edge.request(PUBLISH, UPDATE, token)[0] == 401  # unknown until told
    edge.signal(signal.SIGHUP)
    until(lambda: edge.request(PUBLISH, UPDATE, token)[0] == 200, "the new key")
    assert edge.request(PUBLISH, UPDATE, clinic.alice)[0] == 200
    clinic.key.unlink()
    edge.signal(signal.SIGHUP)
    until(lambda: edge.request(PUBLISH, UPDATE, clinic.alice)[0] == 401, "the old key's end")
    # Keys that cannot be read leave the old ones in use.
    second.write_text("short\n")
    edge.signal(signal.SIGHUP)
    until(lambda: "keys not read again" in edge.said(), "the edge's complaint")
    assert edge.request(PUBLISH, UPDATE, token)[0] == 200


def test_no_token_is_ever_logged(site):
    edge = site.edge("-v")
    good, bad = site.token("alice"), forge(site, secret=b"s" * 64)
    for token in (good, bad):
        outcome(edge, token)
        edge.request(PUBLISH, UPDATE, token)
        edge.request(f"/ws/nothing?token={token}")
    said = edge.said()
    assert said
    for token in (good, bad):
        for part in token.split("."):
            assert part not in said
