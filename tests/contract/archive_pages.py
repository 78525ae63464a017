"""Pages and walks for the archive's tests, and the archives that the tests run on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from twittomatic.archive import ARCHIVES
from twittomatic.archive.base import COMPLETE, Draft, End, Head
from twittomatic.job import INT64, TWT, Extent

Written = TypeVar("Written", bound=Draft)

NAMES = sorted(ARCHIVES)
DONE = End(COMPLETE, at=1_790_000_000)
USER = "22013880"


def open_archive(name: str, root: Path, **options: Any) -> Any:
    """An archive of a registered name; a power cut is not among the tests, so they need no fsync."""
    chosen: dict[str, Any] = {"id_form": INT64, "fsync": False} | options
    return ARCHIVES[name](root, **chosen)


def tweets(*ids: int) -> list[bytes]:
    """One line per id."""
    return [b'{"id":"%d","text":"tweet %d"}' % (id_, id_) for id_ in ids]


def write(draft: Written, pages: Sequence[list[bytes]], first: int = 0) -> Written:
    """Append pages as the pages ``first``, ``first`` + 1, ... of a walk."""
    for seq, lines in enumerate(pages, first):
        prev = None if seq == 0 else f"cursor{seq}"
        draft.append(Head(seq, prev, f"cursor{seq + 1}", len(lines), 1_790_000_000 + seq, "x_v2", "main"), lines)
    return draft


def finish(archive: Any, draft: Draft, token: str, mark: End = DONE) -> Extent:
    """End mark, union, publish; what was sealed."""
    draft.end(mark)
    draft.sync()
    united = archive.unite(draft, token)
    extent: Extent = united.extent
    united.close()
    archive.publish(draft.user, extent)
    return extent


def crawl(
    archive: Any, token: str, *pages: list[bytes], user: str = USER, suffix: str = TWT, mark: End = DONE
) -> Extent:
    """A whole job."""
    return finish(archive, write(archive.start(user, suffix, token), pages), token, mark)


def update(archive: Any, token: str, *pages: list[bytes], user: str = USER, mark: End = DONE) -> Extent:
    """A whole update: newer pages, then what the final holds."""
    draft = write(archive.start(user, TWT, token), pages)
    draft.copy_final()
    return finish(archive, draft, token, mark)
