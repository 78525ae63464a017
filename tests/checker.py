"""Judges a finished archive against the world it was crawled from. It stands alone: nothing of the package is used.

    python tests/checker.py ARCHIVE --seeds FILE [--edges EDGES.tsv] [--twin URL] [--kinds TFA] [--traversal bfs]

The gzip members are walked by hand, the reachable users are computed from the edge list, and what a user posted is
asked of the twin. Exit status 1 when anything is wrong; each problem is a line.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import json
import re
import struct
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

TIMELINE, FOLLOWER, ANALYZER = "timeline", "follower", "analyzer"
KINDS = (TIMELINE, FOLLOWER, ANALYZER)
SHOWN = 30
"""Problems of one sort that are kept with their text; all are counted."""

_FINAL = re.compile(r"(?P<user>\d+)\.(?P<suffix>twt|fws|usr)(?P<dated>\.\d{8}(?:-\d+)?)?", re.ASCII)
_PART = re.compile(r"(?P<user>\d+)\.(?P<suffix>twt|fws|usr)\..+", re.ASCII)
_FROM_TWIN = {"Authorization": "Bearer the-checker-itself"}


class Damaged(Exception):
    """Bytes that are not what they should be."""


class Member(NamedTuple):
    """One gzip member: what its header tells, and its body."""

    told: dict[str, Any]
    body: bytes


@dataclass(slots=True)
class File:
    """One file of the archive as it was found. end: what its last member tells, None without an end mark; ids: of the
    lines that are valid, by the place of their line."""

    path: Path
    user: str
    suffix: str
    lines: list[bytes]
    end: dict[str, Any] | None
    ids: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Report:
    """problems: a line each, the first of every sort; counts: by sort of problem; leftovers: parts that a crash left
    and that a final makes needless."""

    problems: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    leftovers: list[str] = field(default_factory=list)
    users: int = 0
    tweets: int = 0
    followers: int = 0
    profiles: frozenset[str] = frozenset()

    @property
    def good(self) -> bool:
        return not self.counts

    def wrong(self, sort: str, what: str) -> None:
        """Note a problem."""
        self.counts[sort] += 1
        if self.counts[sort] <= SHOWN:
            self.problems.append(f"{sort}: {what}")

    def __str__(self) -> str:
        held = f"{self.users} users, {self.tweets} tweets, {self.followers} followers, {len(self.profiles)} profiles"
        more = {sort: number - SHOWN for sort, number in self.counts.items() if number > SHOWN}
        return "\n".join([*self.problems, *(f"{sort}: and {number} more" for sort, number in more.items()), held])


class Twin:
    """What the twin of the network says is true; asked over one connection."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        self._users: dict[str, dict[str, Any] | None] = {}

    def get(self, path: str, **params: str) -> tuple[int, bytes]:
        """Status and body of one answer; a twin that answers badly on purpose is asked again."""
        target = f"{path}?{urlencode(params)}" if params else path
        for _ in range(8):
            try:
                self._connection.request("GET", target, headers=_FROM_TWIN)
                answer = self._connection.getresponse()
                status, body = answer.status, answer.read()
            except (OSError, http.client.HTTPException):
                self._connection.close()
                continue
            if status == 429:
                time.sleep(max(0.0, float(answer.headers.get("x-rate-limit-reset", "0")) - time.time()) + 0.1)
            elif status < 500 and not body.startswith(b"<"):
                return status, body
        raise Damaged(f"the twin does not answer {target}")

    def close(self) -> None:
        self._connection.close()

    def user(self, id_: str) -> dict[str, Any] | None:
        """The truth about a user, None when there is no such user."""
        if id_ not in self._users:
            status, body = self.get(f"/_world/user/{id_}")
            self._users[id_] = json.loads(body) if status == 200 else None
        return self._users[id_]

    def known(self, id_: str) -> dict[str, Any]:
        """The truth about a user that there must be."""
        found = self.user(id_)
        if found is None:
            raise Damaged(f"the twin knows no user {id_}")
        return found


def walk(data: bytes) -> Iterator[Member]:
    """The members of a file, read by hand: header, extra field, deflate stream, checksum, size, length. Damaged."""
    at = 0
    while at < len(data):
        if data[at : at + 4] != b"\x1f\x8b\x08\x04" or at + 12 > len(data):
            raise Damaged(f"byte {at}: no gzip header with an extra field")
        (extra_length,) = struct.unpack_from("<H", data, at + 10)
        body_at = at + 12 + extra_length
        total, told = _extra(data[at + 12 : body_at], at)
        member = data[at : at + total]
        if len(member) < total or total < 12 + extra_length + 10:
            raise Damaged(f"byte {at}: torn: {len(member)} of {total} bytes")
        inflater = zlib.decompressobj(-15)
        try:
            body = inflater.decompress(member[12 + extra_length :]) + inflater.flush()
        except zlib.error as error:
            raise Damaged(f"byte {at}: {error}") from error
        if not inflater.eof or len(inflater.unused_data) != 8:
            raise Damaged(f"byte {at}: the member is not as long as it says")
        crc, size = struct.unpack("<II", inflater.unused_data)
        if (crc, size) != (zlib.crc32(body), len(body)):
            raise Damaged(f"byte {at}: checksum or size differ")
        yield Member(told, body)
        at += total


def _extra(extra: bytes, at: int) -> tuple[int, dict[str, Any]]:
    """Total length and JSON of the subfield TM."""
    place = 0
    while place + 4 <= len(extra):
        name, (length,) = extra[place : place + 2], struct.unpack_from("<H", extra, place + 2)
        if name == b"TM":
            content = extra[place + 4 : place + 4 + length]
            try:
                return struct.unpack_from("<I", content)[0], json.loads(content[4:])
            except (ValueError, struct.error) as error:
                raise Damaged(f"byte {at}: bad header: {error}") from error
        place += 4 + length
    raise Damaged(f"byte {at}: no subfield TM")


def load(path: Path, user: str, suffix: str) -> File:
    """A file whose every member, count and line is right in itself. Damaged."""
    data = path.read_bytes()
    lines: list[bytes] = []
    end: dict[str, Any] | None = None
    bodies: list[bytes] = []
    for member in walk(data):
        if end is not None:
            raise Damaged("a member follows the end mark")
        bodies.append(member.body)
        if member.told.get("end"):
            end = member.told
        found = member.body.split(b"\n")
        if found.pop() or len(found) != member.told["n"]:
            raise Damaged(f"page {member.told['seq']} says {member.told['n']} items and has {len(found)} lines")
        lines += found
    if gzip.decompress(data) != b"".join(bodies):
        raise Damaged("zcat reads other bytes")
    return File(path, user, suffix, lines, end)


def reachable(seeds: Iterable[str], found_by: Callable[[str], Iterable[str]], *, deep: bool) -> set[str]:
    """Seeds and, where the traversal goes on, whoever they lead to."""
    seen = set(seeds)
    queue = list(seen)
    while deep and queue:
        for other in found_by(queue.pop()):
            if other not in seen:
                seen.add(other)
                queue.append(other)
    return seen


def read_edges(path: Path) -> dict[str, list[str]]:
    """Followers by user: a row ``src trg`` means that src follows trg."""
    followers: dict[str, dict[str, None]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        row = line.split()
        if len(row) >= 2 and row[0].isdecimal() and row[1].isdecimal():
            followers.setdefault(row[1], {})[row[0]] = None
    return {user: list(ids) for user, ids in followers.items()}


class Checker:
    """One archive against one world.

    edges: followers by user as the edge list has them; carries_profiles: the follower pages held profiles, so that
    ``.usr`` stands beside ``.fws``; sample: users whose items are compared with the network's own answers, too.
    """

    def __init__(
        self,
        archive: Path,
        *,
        edges: Mapping[str, Sequence[str]] | None,
        twin: Twin | None,
        kinds: Collection[str],
        carries_profiles: bool,
        sample: int,
    ) -> None:
        self.archive = archive
        self.edges = edges
        self.twin = twin
        self.kinds = kinds
        self.carries_profiles = carries_profiles
        self.sample = sample
        self.report = Report()
        self.files: dict[tuple[str, str], File] = {}

    def followers_of(self, user: str) -> Sequence[str]:
        """Whom the network lists as followers, from the edge list where there is one."""
        if self.edges is not None:
            return self.edges.get(user, ())
        return self.twin.known(user)["followers"] if self.twin else ()

    def state_of(self, user: str) -> str:
        return str(self.twin.known(user)["state"]) if self.twin else "public"

    def chosen_from(self, user: str) -> list[str]:
        """Whom a user leads to: the followers that the default policy does not refuse."""
        if self.state_of(user) != "public":
            return []
        return [other for other in self.followers_of(user) if not self.is_protected(other)]

    def is_protected(self, user: str) -> bool:
        return bool(self.twin and self.twin.known(user)["profile"].get("protected"))

    def run(self, seeds: Collection[str], *, deep: bool) -> Report:
        self.read_all()
        expected = reachable(seeds, self.chosen_from, deep=deep and ANALYZER in self.kinds)
        for user in sorted(expected, key=int):
            self.judge(user)
        for (user, suffix), file in self.files.items():
            if user not in expected:
                self.report.wrong("unreachable", f"{file.path} ({suffix}) of somebody whom no seed leads to")
        self.judge_profiles(expected, set(seeds))
        self.judge_parts()
        self.compare_answers(sorted(expected, key=int))
        self.report.users = len(expected)
        return self.report

    def read_all(self) -> None:
        """Every file of every shard; what has no name of ours is a problem."""
        for shard in sorted(self.archive.iterdir()):
            if shard.name.startswith(".") or not shard.is_dir():
                continue
            for path in sorted(shard.iterdir()):
                named = _FINAL.fullmatch(path.name)
                if named is None or named["user"][:2] != shard.name:
                    self.report.wrong("name", f"{path} is no file of an archive")
                    continue
                try:
                    file = load(path, named["user"], named["suffix"])
                except Damaged as error:
                    self.report.wrong("damaged", f"{path}: {error}")
                    continue
                self.judge_lines(file)
                if not named["dated"]:
                    self.files[file.user, file.suffix] = file

    def judge_lines(self, file: File) -> None:
        """Lines are valid, ids unique; timelines run from the newest to the oldest."""
        valid: list[bytes] = []
        for number, line in enumerate(file.lines, 1):
            try:
                file.ids.append(_id_of(line, file.suffix))
                valid.append(line)
            except (ValueError, KeyError, TypeError) as error:
                self.report.wrong("line", f"{file.path}, line {number}: {error!r}: {line[:80]!r}")
        file.lines, ids = valid, file.ids
        if doubles := [id_ for id_, number in Counter(ids).items() if number > 1]:
            self.report.wrong("doubled", f"{file.path}: {', '.join(doubles[:5])} stand there more than once")
        if file.suffix == "twt" and ids != sorted(ids, key=int, reverse=True):
            self.report.wrong("order", f"{file.path}: the items are not the newest first")

    def judge(self, user: str) -> None:
        """One final of each kind with an end mark, holding what is true of that user."""
        state = self.state_of(user)
        first = True
        for kind, suffix in ((TIMELINE, "twt"), (FOLLOWER, "fws")):
            if kind not in self.kinds:
                continue
            if state == "public" or first:
                self.judge_final(user, kind, suffix, state)
            elif (user, suffix) in self.files:
                self.report.wrong("foreign", f"{user} is {state} and has a .{suffix}")
            first = False
        if FOLLOWER in self.kinds and self.carries_profiles and state == "public":
            self.judge_end(user, "usr", state)

    def judge_end(self, user: str, suffix: str, state: str) -> File | None:
        file = self.files.get((user, suffix))
        if file is None:
            self.report.wrong("missing", f"{user} has no .{suffix}")
        elif file.end is None:
            self.report.wrong("no end mark", f"{file.path}")
        elif (file.end["end"] == "gone") != (state != "public"):
            self.report.wrong("end", f"{file.path} ends as {file.end['end']!r} and the user is {state}")
        return file

    def judge_final(self, user: str, kind: str, suffix: str, state: str) -> None:
        file = self.judge_end(user, suffix, state)
        if file is None:
            return
        held = file.ids
        if kind == FOLLOWER:
            truth: Sequence[str] = self.followers_of(user) if state == "public" else ()
            if len(held) != len(truth) or set(held) != set(truth):
                self.report.wrong("followers", f"{file.path}: {_difference(held, truth)}")
            self.report.followers += len(held)
        else:
            if self.twin is not None:
                truth = self.twin.known(user)["tweets"] if state == "public" else ()
                if held != list(truth):
                    self.report.wrong("tweets", f"{file.path}: {_difference(held, truth)}")
            self.report.tweets += len(held)

    def judge_profiles(self, expected: set[str], seeds: set[str]) -> None:
        """As a set over the archive: everybody found has a profile, nobody else has one, and each one is true."""
        held: set[str] = set()
        for (_, suffix), file in self.files.items():
            if suffix != "usr":
                continue
            for id_, line in zip(file.ids, file.lines, strict=True):
                profile = json.loads(line)
                if "gone" in profile:
                    continue
                held.add(id_)
                self.judge_profile(file, profile)
        self.report.profiles = frozenset(held)
        if FOLLOWER not in self.kinds or (not self.carries_profiles and ANALYZER not in self.kinds):
            return
        everybody = {other for user in expected if self.state_of(user) == "public" for other in self.followers_of(user)}
        needed = everybody if self.carries_profiles else everybody - seeds
        if missing := {user for user in needed if self.state_of(user) in ("public", "protected")} - held:
            self.report.wrong("profiles", f"nobody's file holds a profile of {_some(missing)}")
        if foreign := held - everybody:
            self.report.wrong("profiles", f"there are profiles of {_some(foreign)}, whom nobody was asked about")

    def judge_profile(self, file: File, profile: dict[str, Any]) -> None:
        if self.twin is None:
            return
        user = str(profile.get("id_str") or profile["id"])
        truth = self.twin.user(user)
        name = profile.get("screen_name") or profile.get("username")
        if truth is None or name != truth["username"]:
            self.report.wrong("profile", f"{file.path}: {user} is called {name!r}")

    def judge_parts(self) -> None:
        """A part whose user has a whole final is needless; any other holds what should be in a final."""
        for path in sorted((self.archive / ".parts").glob("*/*")):
            named = _PART.fullmatch(path.name)
            final = self.files.get((named["user"], named["suffix"])) if named else None
            if final is None or final.end is None or path.name.endswith(".lost"):
                self.report.wrong("part", f"{path} is left over and no final takes its place")
            self.report.leftovers.append(path.name)

    def compare_answers(self, users: Sequence[str]) -> None:
        """The items of some users against the network's own answers: nothing of an item may be changed or lost."""
        step = max(1, len(users) // self.sample) if self.sample else 0
        for user in users[::step] if step and self.twin and TIMELINE in self.kinds else ():
            file = self.files.get((user, "twt"))
            if file is None or not file.lines:
                continue
            legacy = b'"id_str"' in file.lines[0]
            lines = dict(zip(file.ids, file.lines, strict=True))
            for id_, original in (self.legacy_items(user) if legacy else self.modern_items(user)).items():
                stored = lines.get(id_)
                if stored is None or not _holds(stored, original, legacy=legacy):
                    self.report.wrong("item", f"{file.path}: {id_} differs from what the network gives: {original!r}")

    def modern_items(self, user: str) -> dict[str, Any]:
        assert self.twin is not None
        fields = {"tweet.fields": "author_id,created_at,lang,public_metrics", "max_results": "100"}
        _, body = self.twin.get(f"/2/users/{user}/tweets", **fields)
        return {item["id"]: item for item in json.loads(body).get("data", [])}

    def legacy_items(self, user: str) -> dict[str, Any]:
        assert self.twin is not None
        _, body = self.twin.get(
            "/1.1/statuses/user_timeline.json", user_id=user, count="200", tweet_mode="extended", include_rts="true"
        )
        return {item["id_str"]: item for item in json.loads(body)}


def _holds(stored: bytes, original: Any, *, legacy: bool) -> bool:
    """v1.1 lines are the item itself; a v2 line has all that was asked for, and what it refers to added."""
    line = json.loads(stored)
    return bool(line == original) if legacy else all(line.get(key) == value for key, value in original.items())


def _id_of(line: bytes, suffix: str) -> str:
    if suffix == "fws":
        id_ = line.decode("ascii")
    else:
        document = json.loads(line)
        id_ = document.get("id_str") or document["id"]
    if not isinstance(id_, str) or not re.fullmatch(r"0|[1-9]\d{0,18}", id_, re.ASCII):
        raise ValueError(f"{id_!r} is no id")
    return id_


def _some(ids: Collection[str]) -> str:
    return f"{len(ids)} users ({', '.join(sorted(ids)[:5])})"


def _difference(held: Sequence[str], truth: Sequence[str]) -> str:
    lacking, foreign = set(truth) - set(held), set(held) - set(truth)
    return f"{len(held)} instead of {len(truth)}; lacks {sorted(lacking)[:3]}, has {sorted(foreign)[:3]} too much"


def check(
    archive: Path,
    *,
    seeds: Collection[str],
    edges: Path | None = None,
    twin_url: str | None = None,
    kinds: Collection[str] = KINDS,
    traversal: str = "bfs",
    carries_profiles: bool = True,
    sample: int = 40,
) -> Report:
    """Judge the archive of a finished crawl. seeds: ids."""
    twin = None if twin_url is None else Twin(twin_url)
    followers = None if edges is None else read_edges(edges)
    try:
        checker = Checker(
            archive, edges=followers, twin=twin, kinds=kinds, carries_profiles=carries_profiles, sample=sample
        )
        return checker.run(seeds, deep=traversal != "default")
    finally:
        if twin is not None:
            twin.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--seeds", type=Path, required=True, help="ids, one a line")
    parser.add_argument("--edges", type=Path)
    parser.add_argument("--twin")
    parser.add_argument("--kinds", default="TFA", help="letters of the kinds that were crawled")
    parser.add_argument("--traversal", default="bfs")
    parser.add_argument("--lookups", action="store_true", help="profiles were looked up by the analyzer")
    options = parser.parse_args()
    seeds = [line.strip() for line in options.seeds.read_text().splitlines() if line.strip().isdecimal()]
    letters = {"T": TIMELINE, "F": FOLLOWER, "A": ANALYZER}
    report = check(
        options.archive,
        seeds=seeds,
        edges=options.edges,
        twin_url=options.twin,
        kinds=[letters[letter] for letter in options.kinds],
        traversal=options.traversal,
        carries_profiles=not options.lookups,
    )
    print(report)
    return 0 if report.good else 1


if __name__ == "__main__":
    sys.exit(main())
