"""Names that were looked up once and paid for: kept beside the archive, fsynced before anything is made of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import ujson

from twittomatic import logs
from twittomatic.sources.base import UNAVAILABLE, Page

log = logs.get(__name__)

FILE_NAME = ".names.jsonl"


class Names:
    """An append-only file of answers, one JSON object a line: name, id or the reason why there is none, and the
    profile's exact bytes. Lines are only ever appended, so two masters cannot damage each other's."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._ids: dict[str, str] = {}
        self._reasons: dict[str, str] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self._load()

    def _load(self) -> None:
        """Read what is there. A line that a crash cut is taken away, a broken one in between is passed over."""
        whole = 0
        with self._path.open("rb") as stream:
            for line in stream:
                if not line.endswith(b"\n"):
                    os.ftruncate(self._file, whole)
                    break
                whole += len(line)
                try:
                    self._learn(ujson.loads(line))
                except (ValueError, KeyError, TypeError, AttributeError):
                    log.warning("a line of the kept names cannot be read: those names are asked for again")

    def _learn(self, answer: dict[str, str]) -> None:
        name = answer["name"].casefold()
        if answer.get("id"):
            self._ids[name] = answer["id"]
            self._reasons.pop(name, None)
        else:
            self._reasons[name] = answer["gone"]

    def id_of(self, name: str) -> str | None:
        """The id of a name that was looked up, None when it is not known (or there is no such user)."""
        return self._ids.get(name.casefold())

    def reason_of(self, name: str) -> str | None:
        """Why a name has no id, None when it was not asked for or has one."""
        return self._reasons.get(name.casefold())

    def unknown(self, names: Iterable[str]) -> list[str]:
        """The names that must be asked for, each once, in order."""
        first = {name.casefold(): name for name in reversed(list(names))}
        known = self._ids.keys() | self._reasons.keys()
        return [name for folded, name in reversed(first.items()) if folded not in known]

    def keep(self, asked: Sequence[str], page: Page, names_of: dict[str, str], at: int) -> None:
        """Keep one answer, durably. names_of: folded name by id, as the profiles tell; what is neither there nor in
        ``page.missing`` counts as not found; of what was unavailable nothing is kept: it may be asked again."""
        lines: list[bytes] = []
        reasons = {missing.id.casefold(): missing.reason for missing in page.missing}
        profiles = {names_of[item.id]: item for item in page.items if item.id in names_of}
        for name in asked:
            item = profiles.get(name.casefold())
            if reasons.get(name.casefold()) == UNAVAILABLE:
                continue
            if item is None:
                answer = {"name": name, "gone": reasons.get(name.casefold(), "not_found"), "at": at}
                lines.append(ujson.dumps(answer).encode())
            else:
                head = ujson.dumps({"name": name, "id": item.id, "at": at}).encode()
                lines.append(head[:-1] + b',"profile":' + item.line + b"}")
        block = b"".join(line + b"\n" for line in lines)
        written = 0
        while written < len(block):
            written += os.write(self._file, block[written:])
        os.fsync(self._file)
        for line in lines:
            self._learn(ujson.loads(line))

    def close(self) -> None:
        os.close(self._file)
