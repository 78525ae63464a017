"""The transport against a real server: signing, bounds, and all that can go wrong between two machines."""

from __future__ import annotations

import gzip
import logging
import threading
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.scripted_network import Reply, ScriptedNetwork
from twittomatic import __version__
from twittomatic.errors import CredentialsError, SettingsError, Transient, UnknownBody
from twittomatic.sources.credentials import Credential
from twittomatic.sources.transport import Transport

TOKEN = "AAAA-the-secret-bearer-token"
FOUR = ["consumer-key-1", "consumer-secret-1", "user-token-1", "user-token-secret-1"]
CREDENTIALS = {"app": Credential("app", "bearer", [TOKEN]), "me": Credential("me", "oauth1", FOUR)}


@pytest.fixture
def open_transport() -> Iterator[Any]:
    opened: list[Transport] = []

    def open_(url: str, **options: Any) -> Transport:
        opened.append(Transport(url, CREDENTIALS, **{"timeout": (5.0, 5.0), **options}))
        return opened[-1]

    yield open_
    for transport in opened:
        transport.close()


def test_an_honest_request_over_one_kept_connection(open_transport: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with ScriptedNetwork(Reply({"a": 1}, gzip=True, headers={"Set-Cookie": "guest=1"})) as network:
        transport = open_transport(network.url + "/", contact="lab@example.org")
        answers = [transport.get("/2/users", {"ids": "1,2"}, credential="app") for _ in range(3)]
    assert [answer.body for answer in answers] == [b'{"a": 1}'] * 3
    assert network.connections == 1
    first = network.asked[0]
    assert (first.path, first.parameters) == ("/2/users", {"ids": "1,2"})
    assert first.headers["User-Agent"] == f"twittomatic/{__version__} (+lab@example.org)"
    assert first.headers["Accept-Encoding"] == "gzip"
    assert first.headers["Authorization"] == f"Bearer {TOKEN}"
    assert not any("Cookie" in asked.headers for asked in network.asked)


def test_oauth1_signs_queries_and_forms(open_transport: Any) -> None:
    with ScriptedNetwork(Reply({})) as network:
        transport = open_transport(network.url)
        transport.get("/1.1/a.json", {"user_id": "12"}, credential="me")
        transport.post("/1.1/b.json", {"user_id": "1,2"}, credential="me")
    for asked in network.asked:
        signed = asked.headers["Authorization"]
        assert signed.startswith("OAuth ")
        assert 'oauth_consumer_key="consumer-key-1"' in signed
        assert 'oauth_token="user-token-1"' in signed
        assert 'oauth_signature_method="HMAC-SHA1"' in signed
        assert "secret-1" not in signed
    assert network.asked[1].method == "POST"
    assert network.asked[1].parameters == {"user_id": "1,2"}


def test_the_window_of_a_bearer_token_is_the_apps_and_of_a_user_token_the_users(open_transport: Any) -> None:
    headers = {
        "x-rate-limit-limit": "900", "x-rate-limit-remaining": "3", "x-rate-limit-reset": "1800000000",
        "x-app-rate-limit-limit": "100000", "x-app-rate-limit-remaining": "5", "x-app-rate-limit-reset": "1800086400",
    }  # fmt: skip
    with ScriptedNetwork(Reply({}, headers=headers)) as network:
        transport = open_transport(network.url)
        app, me = (transport.get("/2/users", {}, credential=label).windows for label in ("app", "me"))
    assert [window.kind for window in app] == ["app", "day"]
    assert [tuple(window) for window in me] == [("user", 900, 3, 1800000000), ("day", 100000, 5, 1800086400)]


def test_all_members_of_a_gzip_body_are_read(open_transport: Any) -> None:
    body = gzip.compress(b'{"a":') + gzip.compress(b"1}") + b"\0\0"
    with ScriptedNetwork(Reply(body, headers={"Content-Encoding": "gzip"})) as network:
        assert open_transport(network.url).get("/", {}, credential="app").body == b'{"a":1}'


HEAD = b"HTTP/1.1 200 OK\r\n"
GZIPPED = gzip.compress(b'{"data": []}' * 50)
FAULTS = {
    "reset": Reply(reset=True),
    "closed before an answer": Reply(raw=b""),
    "no HTTP": Reply(raw=b"SSH-2.0-server\r\n\r\n"),
    "shorter than its length": Reply(raw=HEAD + b"Content-Length: 500\r\n\r\n" + b'{"data": []}'),
    "chunk cut": Reply(raw=HEAD + b"Transfer-Encoding: chunked\r\n\r\n400\r\n" + b"{" * 10),
    "chunks end without an end": Reply(raw=HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"),
    "gzip cut, length promised": Reply(GZIPPED[:-9], headers={"Content-Encoding": "gzip"}),
    "gzip cut, no length": Reply(raw=HEAD + b"Content-Encoding: gzip\r\nConnection: close\r\n\r\n" + GZIPPED[:-9]),
    "gzip damaged": Reply(GZIPPED[:30] + b"\xff\xff" + GZIPPED[32:], headers={"Content-Encoding": "gzip"}),
    "gzip without gzip": Reply(b'{"data": [], "meta": {}}', headers={"Content-Encoding": "gzip"}),
    "an empty gzip body": Reply(b"", headers={"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize("reply", FAULTS.values(), ids=FAULTS)
def test_what_breaks_on_the_way_is_transient_and_holds_no_secret(
    reply: Reply, open_transport: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with ScriptedNetwork(reply) as network, caplog.at_level(logging.DEBUG):
        with pytest.raises(Transient) as caught:
            open_transport(network.url).get("/2/users", {}, credential="app")
        assert "/2/users" in caught.value.detail or "gzip" in caught.value.detail or "cut" in caught.value.detail
    shown = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert TOKEN not in shown
    assert caught.value.__context__ is None or TOKEN not in repr(vars(caught.value.__context__))


def test_a_next_call_after_a_fault_works(open_transport: Any) -> None:
    with ScriptedNetwork(Reply({}), Reply(reset=True), Reply({"b": 2})) as network:
        transport = open_transport(network.url)
        transport.get("/", {}, credential="app")
        with pytest.raises(Transient, match="lost"):
            transport.get("/", {}, credential="app")
        assert transport.get("/", {}, credential="app").body == b'{"b": 2}'


def test_nobody_listens(open_transport: Any) -> None:
    with ScriptedNetwork(Reply({})) as network:
        url = network.url
    with pytest.raises(Transient, match="lost"):
        open_transport(url).get("/", {}, credential="app")


def test_an_answer_that_stays_away_is_a_timeout(open_transport: Any) -> None:
    release = threading.Event()
    with ScriptedNetwork(Reply({}, hold=release)) as network:
        with pytest.raises(Transient, match="no answer in time"):
            open_transport(network.url, timeout=(5.0, 0.05)).get("/", {}, credential="app")
        release.set()


def test_an_answer_that_drips_is_given_up(open_transport: Any) -> None:
    with ScriptedNetwork(Reply({"a": 1})) as network, pytest.raises(Transient, match="longer than"):
        open_transport(network.url, max_answer_seconds=-1.0).get("/", {}, credential="app")


def test_a_body_beyond_the_bounds_is_not_swallowed(open_transport: Any) -> None:
    bomb = gzip.compress(b"0" * 50_000_000)
    with ScriptedNetwork(Reply(bomb, headers={"Content-Encoding": "gzip"}), Reply(b"0" * 200_000)) as network:
        transport = open_transport(network.url, max_body_bytes=100_000)
        with pytest.raises(UnknownBody, match="inflates to more than 100000"):
            transport.get("/", {}, credential="app")
        with pytest.raises(UnknownBody, match="larger than 100000") as caught:
            transport.get("/", {}, credential="app")
    assert caught.value.status == 200


def test_a_coding_that_was_not_asked_for_is_unknown(open_transport: Any) -> None:
    with (
        ScriptedNetwork(Reply(b"x", headers={"Content-Encoding": "br"})) as network,
        pytest.raises(UnknownBody, match="'br'"),
    ):
        open_transport(network.url).get("/", {}, credential="app")


def test_a_redirect_is_not_followed(open_transport: Any) -> None:
    with (
        ScriptedNetwork(Reply({"stolen": True})) as elsewhere,
        ScriptedNetwork(Reply(status=302, headers={"Location": elsewhere.url})) as network,
    ):
        answer = open_transport(network.url).get("/", {}, credential="app")
    assert answer.status == 302
    assert elsewhere.asked == []


def test_windows_come_with_the_errors_of_the_body_too(open_transport: Any) -> None:
    headers = {"x-rate-limit-limit": "15", "x-rate-limit-remaining": "2", "x-rate-limit-reset": "1800000000",
               "Content-Encoding": "gzip"}  # fmt: skip
    with ScriptedNetwork(Reply(GZIPPED[:-9], headers=headers)) as network, pytest.raises(Transient) as caught:
        open_transport(network.url).get("/", {}, credential="app")
    assert [window.remaining for window in caught.value.windows] == [2]
    assert caught.value.status == 200


def test_a_refusal_that_echoes_the_secret_comes_without_it(open_transport: Any) -> None:
    with ScriptedNetwork(Reply({"error": f"who is {TOKEN}?"}, status=401)) as network:
        answer = open_transport(network.url).get("/", {}, credential="app")
    assert answer.body == b'{"error": "who is [app]?"}'
    assert TOKEN not in repr(answer)


def test_a_label_without_a_credential_and_impossible_settings(open_transport: Any) -> None:
    with pytest.raises(CredentialsError, match="known here: app, me"):
        open_transport("http://127.0.0.1:9").get("/", {}, credential="nobody")
    for url in ("x.com", "ftp://x.com", "https://", "https://x.com/?a=b"):
        with pytest.raises(SettingsError, match="API_URL"):
            open_transport(url)
    for contact in ("two\nlines", "caf\u00e9"):
        with pytest.raises(SettingsError, match="CONTACT"):
            open_transport("https://x.com", contact=contact)
