"""Random histories of a budget against a network that keeps its windows: it never has to refuse a call."""

from __future__ import annotations

import fakeredis
import redis
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.contract.state_world import World, client_of
from tests.model.test_machine import HISTORIES
from twittomatic.job import TIMELINE, Grant, Window
from twittomatic.state.engine import Engine

LIMIT = 20
WINDOW_SECONDS = 900.0
CREDENTIALS = ("a", "b")
ACTIONS = ["take", "take", "call", "call", "answer", "give", "die", "roll", "wait"]


class Network:
    """One credential's window at the network: it begins with its first call."""

    def __init__(self) -> None:
        self.reset = 0.0
        self.used = 0

    def call(self, now: float) -> Window:
        if now >= self.reset:
            self.reset, self.used = now + WINDOW_SECONDS, 0
        self.used += 1
        assert self.used <= LIMIT, "the network had to refuse a call"
        return Window("user", LIMIT, LIMIT - self.used, self.reset)


class BudgetMachine(RuleBasedStateMachine):
    """Threads that take, call, give back and die; answers arrive in any order within their window."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__()
        client.flushall()
        self.world = World(client, Engine(client, flavor="test"))
        self.networks = {name: Network() for name in CREDENTIALS}
        self.grants: list[Grant] = []
        self.answers: list[tuple[str, Window]] = []

    @rule(name=st.sampled_from(ACTIONS), number=st.integers(0, 999))
    def step(self, name: str, number: int) -> None:
        getattr(self, name)(number)

    def take(self, number: int) -> None:
        taken = self.world.budget.take("timeline", 1 + number % 16, CREDENTIALS)
        if isinstance(taken, Grant):
            self.grants.append(taken)
        elif taken.reason == "limited":
            assert taken.until is not None
            assert taken.until > self.world.now

    def call(self, number: int) -> None:
        if self.grants:
            grant = self.grants.pop(number % len(self.grants))
            self.answers.append((grant.credential, self.networks[grant.credential].call(self.world.now)))
            if grant.calls > 1:
                self.grants.append(Grant(grant.endpoint, grant.credential, grant.calls - 1))

    def answer(self, number: int) -> None:
        if self.answers:
            credential, window = self.answers.pop(number % len(self.answers))
            self.world.budget.settle("timeline", credential, [window], kind=TIMELINE)

    def give(self, number: int) -> None:
        if self.grants:
            self.world.budget.give(self.grants.pop(number % len(self.grants)))

    def die(self, number: int) -> None:
        """A thread is gone with what it held, used or not."""
        if self.grants and number % 3 == 0:
            self.grants.pop(number % len(self.grants))

    def wait(self, number: int) -> None:
        self.world.advance(number % 60)

    def roll(self, number: int) -> None:
        """The windows end; every thread has heard its answers and given back what it held."""
        while self.answers:
            self.answer(number)
        while self.grants:
            self.give(number)
        self.world.advance(WINDOW_SECONDS)

    @invariant()
    def the_books_never_promise_more_than_there_is(self) -> None:
        for books in self.world.budget.windows():
            network = self.networks[books.credential]
            for window in books.windows:
                if self.world.now < network.reset == window.reset:
                    held = sum(grant.calls for grant in self.grants if grant.credential == books.credential)
                    assert window.remaining <= LIMIT - network.used - held


def test_on_the_server_in_memory() -> None:
    client = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    run_state_machine_as_test(lambda: BudgetMachine(client), settings=HISTORIES)


def test_on_a_real_server(real_redis: redis.Redis, redis_server: int) -> None:
    client = client_of(redis_server)
    run_state_machine_as_test(lambda: BudgetMachine(client), settings=settings(HISTORIES, max_examples=30))
    client.close()
