"""The checker itself: a true archive passes, and every kind of damage is found under its own name."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import checker
from tests.checker import FOLLOWER, TIMELINE, Report, check
from tests.e2e.programs import Twin as Truth
from tests.e2e.programs import small_talk, small_world
from twittomatic.archive.base import COMPLETE, End, Head
from twittomatic.archive.gzip_files import GzipArchive
from twittomatic.emulator.server import Emulator, EmulatorOptions
from twittomatic.job import FWS, INT64, TWT, USR

USERS = 12
SEEDS = ["0"]


@pytest.fixture(scope="module")
def edges(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_world(tmp_path_factory.mktemp("world") / "edges.tsv", users=USERS, edges=30)


@pytest.fixture(scope="module")
def twin_url(edges: Path) -> Iterator[str]:
    talk = small_talk(edges.parent / "posts.jsonl")
    with Emulator(EmulatorOptions(graph=edges, tweets=talk)) as url:
        yield url


class Scribe:
    """Writes an archive as a crawl of the twin would, a page of three lines at a time."""

    def __init__(self, root: Path, url: str) -> None:
        self.root = root
        self.files = GzipArchive(root, id_form=INT64, fsync=False)
        self.twin = checker.Twin(url)
        self.tokens = 0

    def everybody(self) -> None:
        for user in map(str, range(USERS)):
            known = self.twin.known(user)
            self.write(user, TWT, self.posts(user))
            self.write(user, FWS, [id_.encode() for id_ in known["followers"]])
            self.write(user, USR, [self.profile(id_) for id_ in known["followers"]])

    def posts(self, user: str) -> list[bytes]:
        return [
            json.dumps(item | {"includes": {}}).encode()
            for item in _items(self.twin, user)
            if item["author_id"] == user
        ]

    def profile(self, user: str) -> bytes:
        return json.dumps(self.twin.known(user)["profile"]).encode()

    def write(self, user: str, suffix: str, lines: list[bytes], mark: End | None = None) -> None:
        self.tokens += 1
        draft = self.files.start(user, suffix, f"{self.tokens}-00")
        for seq, first in enumerate(range(0, len(lines), 3)):
            page = lines[first : first + 3]
            draft.append(Head(seq, None, None, len(page), 1, "x_v2", "c"), page)
        draft.end(mark or End(COMPLETE, at=1))
        draft.sync()
        draft.close()
        self.path(user, suffix).unlink(missing_ok=True)
        self.files.publish(user, draft.extent)

    def path(self, user: str, suffix: str) -> Path:
        return self.files.final_path(user, suffix)

    def lines(self, user: str, suffix: str) -> list[bytes]:
        return gzip.decompress(self.path(user, suffix).read_bytes()).splitlines()


def _items(twin: checker.Twin, user: str) -> list[dict[str, object]]:
    """All posts of a user by the twin's own pages, with what the checker compares."""
    found: list[dict[str, object]] = []
    token: dict[str, str] = {}
    while True:
        fields = "author_id,created_at,lang,public_metrics"
        _, body = twin.get(f"/2/users/{user}/tweets", **{"tweet.fields": fields, "max_results": "100", **token})
        page = json.loads(body)
        found += page.get("data", [])
        if "next_token" not in page["meta"]:
            return found
        token = {"pagination_token": page["meta"]["next_token"]}


@pytest.fixture(scope="module")
def true_archive(edges: Path, twin_url: str) -> Path:
    scribe = Scribe(edges.parent / "true", twin_url)
    scribe.everybody()
    scribe.twin.close()
    return scribe.root


@pytest.fixture
def scribe(tmp_path: Path, twin_url: str, true_archive: Path) -> Iterator[Scribe]:
    """A copy of the true archive to do harm to."""
    found = Scribe(Path(shutil.copytree(true_archive, tmp_path / "data")), twin_url)
    found.tokens = 1000
    yield found
    found.twin.close()


Judge = Callable[..., Report]


@pytest.fixture
def judge(scribe: Scribe, edges: Path, twin_url: str) -> Judge:
    usual = {"seeds": SEEDS, "edges": edges, "twin_url": twin_url, "sample": USERS}
    return lambda **more: check(scribe.root, **(usual | more))


def talkative(scribe: Scribe) -> str:
    """Somebody with more than two pages of posts."""
    return next(user for user in map(str, range(USERS)) if len(scribe.lines(user, TWT)) > 6)


def popular(scribe: Scribe) -> str:
    """Somebody with followers on more than one page."""
    return next(user for user in map(str, range(USERS)) if len(scribe.lines(user, FWS)) > 3)


def test_a_true_archive_is_good(judge: Judge) -> None:
    report = judge()
    assert report.good, report
    assert report.users == USERS
    assert report.tweets > USERS
    assert report.leftovers == []
    assert len(report.profiles) == USERS


def test_without_a_traversal_only_the_seeds_are_expected(judge: Judge) -> None:
    report = judge(traversal="default")
    assert set(report.counts) == {"unreachable", "profiles"}
    assert report.users == 1


def test_without_followers_only_timelines_are_expected(scribe: Scribe, edges: Path, twin_url: str) -> None:
    for path in scribe.root.glob("[0-9]*/*"):
        if path.suffix != ".twt":
            path.unlink()
    everybody = [str(number) for number in range(USERS)]
    report = check(scribe.root, seeds=everybody, edges=edges, twin_url=twin_url, kinds=(TIMELINE,))
    assert report.good, report
    assert check(scribe.root, seeds=everybody, edges=edges, kinds=(TIMELINE, FOLLOWER)).counts["missing"] == 2 * USERS


def missing_page(scribe: Scribe) -> None:
    user = talkative(scribe)
    lines = scribe.lines(user, TWT)
    scribe.write(user, TWT, lines[:3] + lines[6:])


def missing_tail(scribe: Scribe) -> None:
    user = talkative(scribe)
    scribe.write(user, TWT, scribe.lines(user, TWT)[:-1])


def doubled_line(scribe: Scribe) -> None:
    user = popular(scribe)
    lines = scribe.lines(user, FWS)
    scribe.write(user, FWS, [*lines, lines[0]])


def torn_file(scribe: Scribe) -> None:
    path = scribe.path(talkative(scribe), TWT)
    path.write_bytes(path.read_bytes()[:-40])


def flipped_byte(scribe: Scribe) -> None:
    path = scribe.path(talkative(scribe), TWT)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x20
    path.write_bytes(data)


def line_of_no_json(scribe: Scribe) -> None:
    user = talkative(scribe)
    scribe.write(user, TWT, [b'{"id":"1"', *scribe.lines(user, TWT)])


def foreign_tweet(scribe: Scribe) -> None:
    user, other = talkative(scribe), next(u for u in map(str, range(USERS)) if scribe.lines(u, TWT))
    stranger = json.loads(scribe.lines(other, TWT)[0]) | {"id": "9"}
    scribe.write(user, TWT, [*scribe.lines(user, TWT), json.dumps(stranger).encode()])


def changed_text(scribe: Scribe) -> None:
    user = talkative(scribe)
    first, *rest = scribe.lines(user, TWT)
    scribe.write(user, TWT, [json.dumps(json.loads(first) | {"text": "else"}).encode(), *rest])


def swapped_order(scribe: Scribe) -> None:
    user = talkative(scribe)
    first, second, *rest = scribe.lines(user, TWT)
    scribe.write(user, TWT, [second, first, *rest])


def missing_end_mark(scribe: Scribe) -> None:
    path = scribe.path(talkative(scribe), TWT)
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"\x1f\x8b\x08\x04")])


def wrong_end(scribe: Scribe) -> None:
    user = talkative(scribe)
    scribe.write(user, TWT, scribe.lines(user, TWT), End("gone", "deleted", at=1))


def missing_user(scribe: Scribe) -> None:
    for suffix in (TWT, FWS, USR):
        scribe.path("7", suffix).unlink()


def missing_kind(scribe: Scribe) -> None:
    scribe.path("7", FWS).unlink()


def foreign_user(scribe: Scribe) -> None:
    scribe.write("99", TWT, [])


def foreign_follower(scribe: Scribe) -> None:
    user = popular(scribe)
    scribe.write(user, FWS, [*scribe.lines(user, FWS)[:-1], b"98"])


def foreign_profile(scribe: Scribe) -> None:
    user = popular(scribe)
    stranger = json.loads(scribe.lines(user, USR)[0]) | {"id": "98"}
    scribe.write(user, USR, [*scribe.lines(user, USR), json.dumps(stranger).encode()])


def missing_profile(scribe: Scribe) -> None:
    for user in map(str, range(USERS)):
        lines = scribe.lines(user, USR)
        scribe.write(user, USR, [line for line in lines if json.loads(line)["id"] != "5"])


def false_profile(scribe: Scribe) -> None:
    user = popular(scribe)
    first, *rest = scribe.lines(user, USR)
    scribe.write(user, USR, [json.dumps(json.loads(first) | {"username": "nobody"}).encode(), *rest])


def strange_file(scribe: Scribe) -> None:
    (scribe.path("7", TWT).parent / "notes.txt").write_text("hello")


def wrong_shard(scribe: Scribe) -> None:
    target = scribe.root / "88" / "7.twt"
    target.parent.mkdir()
    target.write_bytes(scribe.path("7", TWT).read_bytes())


def orphaned_part(scribe: Scribe) -> None:
    part = scribe.root / ".parts" / "99" / "99.twt.5-00"
    part.parent.mkdir(parents=True, exist_ok=True)
    part.write_bytes(b"")


@pytest.mark.parametrize(
    ("damage", "sort"),
    [
        (missing_page, "tweets"),
        (missing_tail, "tweets"),
        (doubled_line, "doubled"),
        (torn_file, "damaged"),
        (flipped_byte, "damaged"),
        (line_of_no_json, "line"),
        (foreign_tweet, "tweets"),
        (changed_text, "item"),
        (swapped_order, "order"),
        (missing_end_mark, "no end mark"),
        (wrong_end, "end"),
        (missing_user, "missing"),
        (missing_kind, "missing"),
        (foreign_user, "unreachable"),
        (foreign_follower, "followers"),
        (foreign_profile, "profiles"),
        (missing_profile, "profiles"),
        (false_profile, "profile"),
        (strange_file, "name"),
        (wrong_shard, "name"),
        (orphaned_part, "part"),
    ],
    ids=lambda value: value.__name__ if callable(value) else value,
)
def test_damage_is_found(judge: Judge, scribe: Scribe, damage: Callable[[Scribe], None], sort: str) -> None:
    damage(scribe)
    report = judge()
    assert not report.good
    assert report.counts[sort], report
    assert str(report).splitlines()[0]


def test_a_part_beside_a_whole_final_is_listed_and_does_no_harm(judge: Judge, scribe: Scribe) -> None:
    part = scribe.root / ".parts" / "7" / "7.twt.5-00"
    part.parent.mkdir(parents=True, exist_ok=True)
    part.write_bytes(b"torn")
    report = judge()
    assert report.good, report
    assert report.leftovers == ["7.twt.5-00"]


def test_somebody_who_is_gone_has_a_timeline_that_says_so(
    scribe: Scribe, edges: Path, twin_url: str, tmp_path: Path
) -> None:
    talk = edges.parent / "posts.jsonl"
    with Emulator(EmulatorOptions(graph=edges, tweets=talk)) as url:
        other = Scribe(tmp_path / "other", url)
        Truth.change(_told(url), "3", "suspended")
        try:
            assert not check(scribe.root, seeds=SEEDS, twin_url=url, sample=0).good
            for user in map(str, range(USERS)):
                known = other.twin.known(user)
                gone = End("gone", "suspended", at=1) if user == "3" else None
                other.write(user, TWT, [] if gone else other.posts(user), gone)
                if not gone:
                    other.write(user, FWS, [id_.encode() for id_ in known["followers"]])
                    other.write(user, USR, [other.profile(id_) for id_ in known["followers"]])
            report = check(other.root, seeds=[str(number) for number in range(USERS)], twin_url=url)
            assert report.good, report
            other.write("3", FWS, [])
            assert check(other.root, seeds=[str(number) for number in range(USERS)], twin_url=url).counts == {
                "foreign": 1
            }
        finally:
            other.twin.close()


def _told(url: str) -> Truth:
    twin = object.__new__(Truth)
    twin.url = url
    return twin


@pytest.mark.parametrize("damage", [None, missing_user])
def test_it_is_a_command_of_its_own(
    scribe: Scribe, edges: Path, twin_url: str, tmp_path: Path, damage: Callable[[Scribe], None] | None
) -> None:
    if damage:
        damage(scribe)
    seeds = tmp_path / "seeds"
    seeds.write_text("# first\n0\n")
    words = [scribe.root, "--seeds", seeds, "--edges", edges, "--twin", twin_url]
    ended = subprocess.run(
        [sys.executable, "-I", checker.__file__, *words], capture_output=True, text=True, check=False
    )
    assert ended.returncode == (1 if damage else 0), ended.stderr
    assert f"{USERS} users" in ended.stdout
    assert ("7 has no .twt" in ended.stdout) == bool(damage)
