"""Everything on one machine: a private Redis and the API twin where none is configured, a master and workers as
children, and one view of it all. Whatever dies is started again; when this process dies, all of it ends."""

from __future__ import annotations

import itertools
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import requests
import ujson

from twittomatic import logs, seeds
from twittomatic.archive.leftovers import sweep
from twittomatic.children import Child, stop_all
from twittomatic.config import Settings
from twittomatic.embedded import EmbeddedRedis
from twittomatic.errors import StateUnavailable, TwittomaticError
from twittomatic.job import TWT, UPDATE
from twittomatic.kinds import KINDS
from twittomatic.lifecycle import FolderLock, Stopper
from twittomatic.sources import SEED_FORMS
from twittomatic.sources.base import PROFILES_CALL
from twittomatic.state.snapshot import Snapshot
from twittomatic.wiring import Wiring

log = logs.get(__name__)

LOOK_SECONDS = 0.25
TWIN_USERS = 2000
TWIN_SEED = 7
TWIN_SEEDS = 20
TWIN_TOKEN = "sample-world"
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
START_SECONDS = 30.0
SWEEP_SECONDS = 1.0
RESPAWN_SECONDS = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
RESPAWN_LIMIT = 20
STUCK_SECONDS = 3.0
STAYS_SECONDS = 10.0
"""A child that lived for so long is not one that cannot start."""
KEPT_FOLDER = ".seeds"


class Failed(TwittomaticError):
    """A child could not be kept running."""

    def __init__(self, child: Child) -> None:
        super().__init__(child.report())
        self.exit_status = child.status if child.status and child.status > 0 else 1


@dataclass(slots=True)
class Post:
    """A child that is to run until we say otherwise. short_lives: how often in a row it ended soon after its start;
    due: when it is started again, 0 while it runs (monotonic seconds)."""

    child: Child
    began: float = field(default_factory=time.monotonic)
    short_lives: int = 0
    due: float = 0.0

    def ended(self, now: float) -> None:
        """Plan the next start: at once for one that had lived, after a growing pause for one that does not stay.
        Failed when it never does."""
        self.short_lives = self.short_lives + 1 if now - self.began < STAYS_SECONDS else 0
        if self.short_lives > RESPAWN_LIMIT:
            raise Failed(self.child)
        self.due = now + RESPAWN_SECONDS[min(self.short_lives, len(RESPAWN_SECONDS) - 1)]

    def start_again(self, now: float) -> None:
        """Start it."""
        self.due, self.began = 0.0, now
        self.child.start()


@dataclass(frozen=True, slots=True)
class Plan:
    """What one ``crawl`` was asked for. seeds: a path, ``-`` for standard input, None for what there is."""

    seeds: str | None
    strict: bool = False
    adopt: bool = False
    retry: bool = False


@dataclass(slots=True)
class Local:
    """One ``twittomatic crawl``. ``say``: tells a person one line."""

    settings: Settings
    plan: Plan
    stopper: Stopper
    say: Callable[[str], None]
    survey: seeds.Survey | None = None
    uses_twin: bool = False
    redis: EmbeddedRedis | None = None
    wiring: Wiring = field(init=False)
    _posts: list[Post] = field(default_factory=list)
    _token: str = ""
    _redis_starts: int = 0
    stuck: str = ""
    _stuck_since: float | None = None
    _master: Child = field(init=False)

    def run(self, watch: Callable[[Snapshot], None]) -> Snapshot:
        """Crawl to the end, or until asked to stop; the last snapshot. Errors: UserError, Failed, StateUnavailable."""
        output = self.settings.OUTPUT_DIRECTORY
        begun = Wiring(self.settings)
        begun.policy()
        self._choose_credentials(begun)
        seeds_path = self._survey()
        with ExitStack() as stack:
            if not self.settings.REDIS_URL and not self.settings.SENTINELS:
                stack.enter_context(FolderLock(output))
                self.redis = EmbeddedRedis(output / ".redis")
                stack.callback(self.redis.stop)
                url = self.redis.start()
                self.settings = self.settings.but("private server", REDIS_URL=url)
                self.say(f"Redis: private server in {output / '.redis'}")
            for warning in Wiring(self.settings).check_server():
                self.say(warning)
            files = Wiring(self.settings).archive()
            files.check()
            files.claim_folder(self.settings.NAMESPACE, self.settings.CRAWL, adopt=self.plan.adopt)
            seeds_path = self._begin_twin(stack, seeds_path)
            self.wiring = Wiring(self.settings)
            return self._work(stack, seeds_path, watch)

    @property
    def is_free(self) -> bool:
        """Whether what is crawled is on this machine, so that nothing is paid."""
        return self.uses_twin or urlsplit(self.settings.API_URL).hostname in LOOPBACK

    def _choose_credentials(self, begun: Wiring) -> None:
        """What is crawled with: configured credentials; for an API on this machine any token; else the twin."""
        if begun.credentials():
            return
        if not self.settings.API_URL:
            self.uses_twin = True
        elif not self.is_free:
            begun.needed_credentials()
        self._token = TWIN_TOKEN

    def _survey(self) -> Path | None:
        """Read the seeds before anything is started: a bad file stops here."""
        if self.plan.seeds is None:
            return None
        path = seeds.kept(self.plan.seeds, self.settings.OUTPUT_DIRECTORY / KEPT_FOLDER)
        self.survey = seeds.survey(path, SEED_FORMS[self.settings.SOURCE], strict=self.plan.strict)
        if self.survey.bad_count:
            self.say(f"{path}: {self.survey.bad_count} bad lines are left out:\n{self.survey.complaint()}")
        return path

    def _begin_twin(self, stack: ExitStack, seeds_path: Path | None) -> Path | None:
        """Where nothing is configured the twin is crawled; its sample seeds unless others are given."""
        if not self.uses_twin:
            return seeds_path
        command = ["emulator", "--port", "0", "--users", str(TWIN_USERS), "--seed", str(TWIN_SEED), "--json"]
        twin = Child(command, "API twin", read_stdout=True)
        stack.callback(twin.stop)
        twin.start()
        line = twin.read_line(START_SECONDS)
        if not line:
            raise Failed(twin)
        url = str(ujson.loads(line)["url"])
        twin.command[twin.command.index("--port") + 1] = url.rpartition(":")[2]
        self.settings = self.settings.but("API twin", API_URL=url)
        self.say(
            f"No credentials are configured, so nothing real is crawled: this is the API twin with its sample world of "
            f"{TWIN_USERS} invented users, at {url}. To crawl a network: see `twittomatic settings`, CREDENTIALS_FILE."
        )
        self._posts.append(Post(twin))
        if seeds_path is not None or self._updates_what_is_held():
            return seeds_path
        return self._sample_seeds(url)

    def _updates_what_is_held(self) -> bool:
        files = Wiring(self.settings).archive()
        return UPDATE in self.settings.KINDS and next(files.users(TWT), None) is not None

    def _sample_seeds(self, url: str) -> Path:
        answer = requests.get(f"{url}/_world/seeds", params={"n": TWIN_SEEDS}, timeout=START_SECONDS)
        answer.raise_for_status()
        path = self.settings.OUTPUT_DIRECTORY / KEPT_FOLDER / "sample.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(["# seeds of the sample world", *answer.json()["ids"]]) + "\n")
        return path

    def _work(self, stack: ExitStack, seeds_path: Path | None, watch: Callable[[Snapshot], None]) -> Snapshot:
        environment = self.settings.environment()
        if self._token:
            environment["TWITTOMATIC_BEARER"] = self._token
        lifted = self.wiring.lift_stops()
        if lifted:
            self.say("Credentials that had been taken out are tried again.")
        master = ["master", "--standby", "--run", secrets.token_hex(8), *(["--retry"] if self.plan.retry else [])]
        master += ["--", str(seeds_path)] if seeds_path else []
        self._master = Child(master, "master", environment=environment)
        self._release_dead_workers()
        if not self.settings.WORKERS:
            self.say("No workers are started here (--workers 0): the jobs wait for `twittomatic worker`.")
        workers = [Child(["worker", name], f"worker {name}", environment=environment) for name in self._free_names()]
        stack.callback(lambda: stop_all([self._master, *workers], self.settings.DRAIN_SECONDS))
        for child in (self._master, *workers):
            child.start()
            self._posts.append(Post(child))
        snapshot = self.wiring.snapshot()
        while not self.stopper.stopping:
            if self._master.status == 0:
                break
            self._keep_running()
            snapshot = self._look(snapshot)
            watch(snapshot)
            if self._is_stuck(snapshot):
                break
            self.stopper.wait(LOOK_SECONDS)
        stop_all([self._master, *workers], self.settings.DRAIN_SECONDS)
        if self.stopper.stopping:
            log.info("stopped", reason=self.stopper.reason)
        if self.redis is not None and self.redis.running:
            self._sweep()
        return self._look(snapshot)

    def _sweep(self) -> None:
        """Delete the parts that crashes left behind. With the folder locked and our workers stopped nobody writes."""
        named = self.wiring.named_segs()
        form = self.wiring.id_form()
        for part in sweep(self.wiring.archive(), form, named, time.time(), least_age_seconds=SWEEP_SECONDS):
            log.info("a part that a crash had left is deleted", path=str(part.path))

    def _free_names(self) -> list[str]:
        """Names for the workers that nobody alive has."""
        taken = {worker.name for worker in self.wiring.registry().workers()}
        stem = f"{socket.gethostname()}-{self.settings.CRAWL}"
        names = (f"{stem}-{number}" for number in itertools.count(1))
        return list(itertools.islice((name for name in names if name not in taken), self.settings.WORKERS))

    def _is_stuck(self, snapshot: Snapshot) -> bool:
        """Whether all that is left waits for somebody to act, for some seconds already; ``stuck`` says for what."""
        waits = list(self._hopeless(snapshot))
        if not waits or snapshot.loading is not None:
            self._stuck_since = None
            return False
        now = time.monotonic()
        self._stuck_since = self._stuck_since or now
        if now - self._stuck_since < STUCK_SECONDS:
            return False
        self.stuck = "; ".join(waits)
        return True

    def _hopeless(self, snapshot: Snapshot) -> Iterator[str]:
        """Why each kind that has work can never begin it as things are; nothing where some kind can go on."""
        reasons = []
        for kind, held in snapshot.kinds.items():
            wait = snapshot.waits.get(KINDS[kind].endpoint or PROFILES_CALL)
            if held.running or held.delayed:
                return
            if held.waiting and (wait is None or wait.until is not None):
                return
            if held.waiting and wait is not None:
                reasons.append(f"{kind}: {wait.endpoint} is {wait.reason}")
        yield from reasons

    def _look(self, last: Snapshot) -> Snapshot:
        try:
            return self.wiring.snapshot()
        except StateUnavailable as error:
            log.warning("Redis is away", why=str(error))
            return last

    def _release_dead_workers(self) -> None:
        try:
            self.wiring.release_dead_workers()
        except StateUnavailable as error:
            log.warning("what dead workers held waits for its lease", why=str(error))

    def _restart_redis(self, redis: EmbeddedRedis) -> None:
        """The private server ended: start it again where the others look for it, with all that it had acknowledged."""
        url, report = redis.url, redis.report()
        log.error("the private Redis server ended", report=report)
        self.say(f"{report.splitlines()[0]}; starting it again")
        self._redis_starts += 1
        if self._redis_starts > RESPAWN_LIMIT:
            raise StateUnavailable(f"the private Redis server does not stay: {report}")
        redis.restart()
        if redis.url != url:
            raise StateUnavailable("another program took the private Redis server's port; start the crawl again")

    def _keep_running(self) -> None:
        """Start again what ended without being asked to, after a growing pause; give up when it will not stay."""
        now = time.monotonic()
        if self.redis is not None and not self.redis.running:
            self._restart_redis(self.redis)
        for post in self._posts:
            status = post.child.status
            if status is None or (post.child is self._master and status == 0):
                continue
            if status == 2:
                raise Failed(post.child)
            if post.due == 0.0:
                self._release_dead_workers()
                log.error("a process ended", process=post.child.name, report=post.child.report())
                words = post.child.report().splitlines()
                self.say(f"{words[0]} {words[-1] if words[1:] else ''}; starting it again")
                post.ended(now)
            if now >= post.due:
                post.start_again(now)
