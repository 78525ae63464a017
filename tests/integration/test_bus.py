"""What listeners hear while a crawl works: a message a page that points into the archive, and the journal."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest

from tests.checker import walk
from tests.conftest import wait_until
from tests.contract.state_world import client_of
from tests.integration.stage import Stage, Stages
from twittomatic import events
from twittomatic.bus import Bus
from twittomatic.job import FOLLOWER, TIMELINE


@pytest.fixture
def stage(stages: Stages) -> Stage:
    return stages(kinds=(TIMELINE, FOLLOWER))


class Listener:
    """Hears everything on a thread of its own."""

    def __init__(self, port: int, prefix: str) -> None:
        self.client = client_of(port)
        self.heard: list[tuple[events.Event, str]] = []
        self.ready = threading.Event()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(prefix,))
        self._thread.start()
        assert self.ready.wait(10)

    def _run(self, prefix: str) -> None:
        for message in Bus(self.client, prefix).listen(poll_seconds=0.05):
            self.ready.set()
            if message is not None:
                self.heard.append(message)
            if self._end.is_set():
                return

    def close(self) -> None:
        self._end.set()
        self._thread.join(10)
        self.client.close()


@pytest.fixture
def listener(stage: Stage, redis_server: int) -> Iterator[Listener]:
    found = Listener(redis_server, stage.keys.deployment)
    yield found
    found.close()


def test_every_page_is_heard_and_points_to_its_bytes(stage: Stage, listener: Listener) -> None:
    stage.page = 10
    stage.admit("0", "1", "2")
    stage.work()
    wait_until(lambda: sum(isinstance(event, events.UserSettled) for event, _ in listener.heard) == 3, 10, "the events")
    pages = [event for event, _ in listener.heard if isinstance(event, events.PageEvent)]
    counters = stage.snapshot().counters
    assert sum(isinstance(event, events.TimelinePage) for event in pages) == counters["timeline.pages"]
    assert sum(isinstance(event, events.FollowerPage) for event in pages) == counters["follower.pages"]
    assert sum(isinstance(event, events.ProfilePage) for event in pages) == counters["follower.pages"]
    for event in pages:
        data = stage.path(event.user, event.suffix).read_bytes()[event.offset : event.offset + event.length]
        (member,) = walk(data)
        assert member.told["seq"] == event.seq
        assert member.told["n"] == event.items == member.body.count(b"\n")
        assert event.crawl == "c"


def test_the_journal_has_what_was_heard_in_the_same_order(stage: Stage, listener: Listener) -> None:
    stage.admit("0", "1")
    stage.work()
    journal = [
        (position.decode(), json.loads(fields[b"event"]))
        for position, fields in stage.client.xrange(stage.keys.journal)
    ]
    wait_until(lambda: len(listener.heard) >= len(journal), 10, "the events")
    assert [position for _, position in listener.heard] == [position for position, _ in journal]
    decoded = [events.decode(json.dumps(document))[0] for _, document in journal]
    assert [event for event, _ in listener.heard] == decoded
    settled = [event for event in decoded if isinstance(event, events.UserSettled)]
    assert {(event.user, event.state, event.kind) for event in settled} == {
        ("0", "done", FOLLOWER),
        ("1", "done", FOLLOWER),
    }


def test_an_event_of_no_commit_is_heard_by_its_own_deployment_only(
    stage: Stage, listener: Listener, redis_server: int
) -> None:
    event = events.UserSettled("c", 1.5, TIMELINE, "7", "done", "complete", "w")
    other = Listener(redis_server, "tw:{other:0}:")
    try:
        assert Bus(stage.client, stage.keys.deployment).publish(event) == 1
        wait_until(lambda: listener.heard == [(event, "")], 10, "the event")
        assert other.heard == []
    finally:
        other.close()


def test_what_is_asked_for_is_all_that_is_heard(stage: Stage, redis_server: int) -> None:
    client = client_of(redis_server)
    try:
        messages = Bus(client, stage.keys.deployment).listen([events.FollowerPage], poll_seconds=0.05)
        assert next(messages) is None
        stage.admit("0")
        stage.work()
        heard = [message for message in (next(messages) for _ in range(3)) if message]
        messages.close()
    finally:
        client.close()
    assert {type(event) for event, _ in heard} == {events.FollowerPage}
