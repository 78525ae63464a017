"""Bad answers of every kind, used-up windows and refused credentials, over real sockets."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import wait_until
from twittomatic.emulator import Emulator, EmulatorOptions, FaultPlan
from twittomatic.emulator.asks import TWEET_EXPANSIONS, TWEET_FIELDS
from twittomatic.emulator.server import build_service
from twittomatic.errors import SettingsError, Unsuitable

DATA = Path(__file__).resolve().parent.parent / "data"
HEADERS = {"Authorization": "Bearer a-token", "Accept-Encoding": "gzip"}
TIMELINES = "users/:id/tweets"


def ask(url: str, path: str, token: str = "a-token", **params: str) -> requests.Response:
    """One request on a connection of its own."""
    return requests.get(url + path, params=params, headers={**HEADERS, "Authorization": f"Bearer {token}"}, timeout=30)


def subject(url: str) -> dict[str, Any]:
    """A public user with two pages of posts and at least two followers."""
    for user in ask(url, "/_world/seeds", n="300", state="public").json()["ids"]:
        truth = ask(url, f"/_world/user/{user}").json()
        if truth["tweets_total"] > 120 and len(truth["followers"]) > 2:
            return dict(truth)
    raise AssertionError("no such user in the sample")


def twin(kind: str, **options: Any) -> Emulator:
    plan = FaultPlan(rate=1.0, mix={kind: 1.0}, slow_seconds=0.2, latency_ms=(150.0, 200.0))
    return Emulator(EmulatorOptions(users=1000, seed=6, faults=plan, short_pages=0.0, **options))


@pytest.mark.parametrize(("kind", "status"), [("status_500", 500), ("status_502", 502), ("status_503", 503)])
def test_server_errors_come_in_the_shape_of_their_family(kind: str, status: int) -> None:
    with twin(kind) as url:
        user = subject(url)
        answer = ask(url, f"/2/users/{user['id']}/tweets")
        assert (answer.status_code, answer.json()["status"], answer.json()["type"]) == (status, status, "about:blank")
        answer = ask(url, "/1.1/statuses/user_timeline.json", user_id=user["id"])
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, 131 if status == 500 else 130)
        assert ask(url, f"/2/users/{user['id']}/tweets").status_code == 200
        assert ask(url, "/_world/requests").json()["faults"] == {kind: 2}


def test_a_reset_breaks_the_connection_and_the_repeat_succeeds() -> None:
    with twin("reset") as url:
        path = f"/2/users/{subject(url)['id']}/tweets"
        with pytest.raises(requests.ConnectionError, match=r"reset|aborted"):
            ask(url, path)
        assert ask(url, path).status_code == 200


def test_a_cut_body_is_shorter_than_announced() -> None:
    with twin("cut") as url:
        path = f"/2/users/{subject(url)['id']}/tweets?max_results=100"
        with requests.get(url + path, headers=HEADERS, stream=True, timeout=30) as answer:
            announced = int(answer.headers["Content-Length"])
            assert len(answer.raw.read(announced)) < announced
        assert len(ask(url, path).json()["data"]) == 100


def test_a_cut_gzip_body_is_a_whole_body_of_half_a_file() -> None:
    with twin("cut_gzip") as url:
        path = f"/2/users/{subject(url)['id']}/tweets?max_results=100"
        with requests.get(url + path, headers=HEADERS, stream=True, timeout=30) as answer:
            raw = answer.raw.read(decode_content=False)
            assert answer.headers["Content-Encoding"] == "gzip"
            assert len(raw) == int(answer.headers["Content-Length"])
        with requests.get(url + path, headers=HEADERS, stream=True, timeout=30) as answer:
            whole = answer.raw.read(decode_content=False)
        assert whole.startswith(raw)
        assert len(whole) > len(raw)


def test_html_comes_with_status_200() -> None:
    with twin("html") as url:
        path = f"/2/users/{subject(url)['id']}/tweets"
        answer = ask(url, path)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/html")
        assert answer.text.startswith("<!DOCTYPE html>")
        assert ask(url, path).json()["data"]


@pytest.mark.parametrize(("kind", "least"), [("latency", 0.15), ("slow", 0.17)])
def test_late_and_slow_answers_are_right(kind: str, least: float) -> None:
    with twin(kind) as url:
        user = subject(url)
        start = time.monotonic()
        answer = ask(url, f"/2/users/{user['id']}/tweets", max_results="100")
        assert time.monotonic() - start >= least
        assert [tweet["id"] for tweet in answer.json()["data"]] == user["tweets"][:100]


@pytest.mark.parametrize("path", ["tweets", "followers"])
def test_a_spurious_empty_page_is_followed_by_data(path: str) -> None:
    with twin("empty") as url:
        user = subject(url)
        expected = user["tweets"][:10] if path == "tweets" else user["followers"][:100]
        first = ask(url, f"/2/users/{user['id']}/{path}").json()
        assert "data" not in first
        assert first["meta"]["result_count"] == 0
        token = first["meta"].get("next_token")
        again = ask(url, f"/2/users/{user['id']}/{path}").json()
        assert [item["id"] for item in again["data"]] == expected
        if token:
            ask(url, f"/2/users/{user['id']}/{path}", pagination_token=token)
            later = ask(url, f"/2/users/{user['id']}/{path}", pagination_token=token).json()
            assert [item["id"] for item in later["data"]] == expected


def test_a_spurious_empty_page_of_v1_keeps_its_cursor() -> None:
    with twin("empty") as url:
        user = subject(url)
        first = ask(url, "/1.1/followers/ids.json", user_id=user["id"], stringify_ids="true").json()
        assert first["ids"] == []
        again = ask(url, "/1.1/followers/ids.json", user_id=user["id"], stringify_ids="true").json()
        assert again["ids"] == user["followers"]
        assert ask(url, "/1.1/statuses/user_timeline.json", user_id=user["id"]).json() == []
        assert len(ask(url, "/1.1/statuses/user_timeline.json", user_id=user["id"]).json()) == 20


def test_short_pages_and_partial_errors_lose_nothing() -> None:
    with twin("short") as url:
        user = subject(url)
        page = ask(url, f"/2/users/{user['id']}/tweets", max_results="100").json()
        assert 0 < len(page["data"]) < 100
        assert "next_token" in page["meta"]
    with twin("partial") as url:
        user = subject(url)
        page = ask(url, f"/2/users/{user['id']}/tweets", max_results="100").json()
        assert [tweet["id"] for tweet in page["data"]] == user["tweets"][:100]
        assert page["errors"]


def test_a_429_can_be_about_something_else() -> None:
    with twin("limited", limits="real") as url:
        answer = ask(url, f"/2/users/{subject(url)['id']}/tweets")
        assert (answer.status_code, answer.json()["title"]) == (429, "Too Many Requests")
        assert int(answer.headers["x-rate-limit-remaining"]) > 9000
    with twin("connections") as url:
        answer = ask(url, f"/2/users/{subject(url)['id']}/tweets")
        assert (answer.status_code, answer.json()["connection_issue"]) == (429, "TooManyConnections")


def test_a_used_up_window_ends(tmp_path: Path) -> None:
    limits = tmp_path / "limits.toml"
    limits.write_text(f'[windows."{TIMELINES}"]\nlimit = 2\nwindow_seconds = 1\n')
    with Emulator(EmulatorOptions(users=1000, seed=6, limits=limits)) as url:
        path = f"/2/users/{subject(url)['id']}/tweets"
        statuses, answer = [], ask(url, path)
        while answer.status_code == 200:
            statuses.append(answer.headers["x-rate-limit-remaining"])
            answer = ask(url, path)
        assert statuses[-2:] == ["1", "0"]
        assert answer.json() == {
            "title": "Too Many Requests",
            "detail": "Too Many Requests",
            "type": "about:blank",
            "status": 429,
        }
        assert (answer.headers["x-rate-limit-limit"], answer.headers["x-rate-limit-remaining"]) == ("2", "0")
        reset = int(answer.headers["x-rate-limit-reset"])
        assert reset <= time.time() + 3
        assert ask(url, path, token="another").status_code == 200
        wait_until(lambda: time.time() >= reset, what="the reset of the window")
        assert ask(url, path).status_code == 200
        assert "x-rate-limit-limit" not in ask(url, "/2/users", ids="1").headers


def test_what_befalls_credentials() -> None:
    with Emulator(EmulatorOptions(users=1000, seed=6, faults=DATA / "faults_credentials.toml")) as url:
        user = subject(url)
        path = f"/2/users/{user['id']}/tweets"
        assert [ask(url, path, token="revoked").status_code for _ in range(4)] == [200, 200, 401, 401]
        legacy = ask(url, "/1.1/users/show.json", token="revoked", user_id=user["id"])
        assert (legacy.status_code, legacy.json()["errors"][0]["code"]) == (401, 89)
        assert ask(url, path, token="capped").status_code == 200
        capped = ask(url, path, token="capped")
        assert (capped.status_code, capped.json()["title"], capped.json()["period"]) == (
            429,
            "UsageCapExceeded",
            "Monthly",
        )
        assert ask(url, path, token="poor", max_results="10").status_code == 200
        poor = [ask(url, path, token="poor") for _ in range(2)]
        assert {answer.status_code for answer in poor} == {402}
        assert {answer.json()["title"] for answer in poor} == {"CreditsDepleted", "Payment Required"}
        stranger = ask(url, path, token="stranger")
        assert (stranger.status_code, stranger.json()["reason"]) == (403, "client-not-enrolled")
        wrong = ask(url, path, token="wrong-kind")
        assert (wrong.status_code, wrong.json()["type"].rpartition("/")[2]) == (403, "unsupported-authentication")
        legacy = ask(url, "/1.1/users/show.json", token="stranger", user_id=user["id"])
        assert (legacy.status_code, legacy.json()["errors"][0]["code"]) == (403, 453)
        single = ask(url, "/2/users/1")
        assert (single.status_code, single.json()["errors"][0]["title"]) == (404, "Not Found Error")


def test_a_patient_walk_under_faults_equals_the_truth() -> None:
    with Emulator(EmulatorOptions(users=1000, seed=6, faults=DATA / "faults_tenth.toml")) as url:
        people = ask(url, "/_world/seeds", n="60", state="public").json()["ids"]
        for user in people:
            truth, got, params, empty = ask(url, f"/_world/user/{user}").json(), [], {"max_results": "100"}, 0
            while True:
                try:
                    answer = ask(url, f"/2/users/{user}/tweets", **params)
                    page = answer.json()
                except (requests.RequestException, ValueError):
                    continue
                if answer.status_code != 200:
                    continue
                got += [tweet["id"] for tweet in page.get("data", [])]
                empty = 0 if "data" in page else empty + 1
                if got:
                    params["until_id"] = got[-1]
                if empty == 2:
                    break
            assert got == truth["tweets"]
        assert len(ask(url, "/_world/requests").json()["faults"]) > 5


SERVE = """
import sys
from twittomatic.emulator import EmulatorOptions, run
run(EmulatorOptions(users=10_000_000, port=int(sys.argv[1])), lambda url: print(url, flush=True))
"""


@pytest.mark.serial
def test_a_process_of_ten_million_users_starts_at_once_and_ends_at_sigterm() -> None:
    started = time.monotonic()
    with subprocess.Popen([sys.executable, "-c", SERVE, "0"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            ready = time.monotonic() - started
            assert ask(url, "/_world/health").json()["users"] == 10_000_000
            popular = max(
                (ask(url, f"/_world/user/{one}").json() for one in ask(url, "/_world/seeds", n="20").json()["ids"]),
                key=lambda one: len(one["followers"]),
            )
            page = ask(url, f"/2/users/{popular['id']}/followers", max_results="1000").json()
            assert page["meta"]["result_count"] > 0
            port = int(url.rpartition(":")[2])
            second = subprocess.run(
                [sys.executable, "-c", SERVE, str(port)], capture_output=True, text=True, timeout=60, check=False
            )
            assert "cannot listen on 127.0.0.1" in second.stderr
        finally:
            process.terminate()
        assert process.wait(timeout=30) == 0
    assert ready < 10


@pytest.mark.serial
def test_a_page_costs_a_fraction_of_what_its_json_costs() -> None:
    """A thousand pages a second need prepared bodies: a page must be far cheaper than to write and read its JSON."""
    service = build_service(EmulatorOptions(users=1000, seed=6, short_pages=0.0))
    crowd = (service.truth.world.person(index) for index in range(1000))
    people = [one for one in crowd if one.base > 100 and service.truth.world.state(one.index) == "public"]
    params = {"max_results": "100", "tweet.fields": ",".join(TWEET_FIELDS), "expansions": ",".join(TWEET_EXPANSIONS)}

    def pages() -> list[bytes]:
        paths = (f"/2/users/{one.id}/tweets" for one in people[:50])
        return [service.answer("GET", path, params, "Bearer a").answer.body for path in paths]

    def written(documents: list[Any]) -> list[Any]:
        return [json.loads(json.dumps(document)) for document in documents]

    documents = [json.loads(page) for page in pages()]
    assert all(len(document["data"]) == 100 for document in documents)
    assert 3 * least_seconds(pages) < least_seconds(lambda: written(documents))


def least_seconds(work: Callable[[], object]) -> float:
    """Processor time of the quickest of five turns."""
    turns = []
    for _ in range(5):
        start = time.process_time()
        work()
        turns.append(time.process_time() - start)
    return min(turns)


def test_an_unknown_dialect_is_refused() -> None:
    with pytest.raises(SettingsError, match="unknown dialect 'toot'"):
        Emulator(EmulatorOptions(users=10, dialect="toot")).start()


def test_a_taken_port_is_an_error_of_the_person_who_chose_it() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(Unsuitable, match="cannot listen on"):
            Emulator(EmulatorOptions(users=10, port=taken.getsockname()[1])).start()
