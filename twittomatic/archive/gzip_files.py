"""The archive on a file system: ``<root>/<shard>/<stem>.<suffix>``, parts beside it, nothing but gzip members."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from twittomatic.archive import folders
from twittomatic.archive.atomic import sync_folder
from twittomatic.archive.base import Draft, End, Head, Member
from twittomatic.archive.deflate import check_level
from twittomatic.archive.drafts import GzipDraft
from twittomatic.archive.ids import id_of
from twittomatic.archive.reading import MemberFile, opened_if_there
from twittomatic.archive.union import contains, has_more, unite
from twittomatic.errors import CorruptMember, LostBytes, Outgrown
from twittomatic.job import FWS, USR, Extent, IdForm

REPLACED_WHOLE = frozenset({FWS, USR})
"""Suffixes whose new final replaces the old one, which is kept under its date; the others are united."""

_UNIONS = "uvwxyz"
"""What a token's unions are named by, after each other."""

_SEG = re.compile(r"[0-9a-f-]+(\.[a-z])?", re.ASCII)
"""A token, and a letter where one token makes several parts: ``.u`` is a union."""


class GzipArchive:
    """Finals and parts of one output folder. Safe to share between threads; a draft is not.

    parts: folder of the parts, on the same file system as root; level: 1 to 9, see ``deflate``; fsync: off only where
    a power cut may cost pages.
    """

    def __init__(
        self, root: Path, *, id_form: IdForm, parts: Path | None = None, level: int = 2, fsync: bool = True
    ) -> None:
        self.root = root
        self.parts = parts or root / ".parts"
        self._id_form = id_form
        self._level = check_level(level)
        self._fsync = fsync
        self._durable: set[Path] = set()

    def check(self) -> None:
        """Make the folders and try what a publish needs. Unsuitable when it cannot be done here."""
        folders.check_pair(self.root, self.parts)

    def claim_folder(self, namespace: str, crawl: str, *, adopt: bool = False) -> None:
        """Name the crawl that the output folder belongs to. InUse when it belongs to another."""
        folders.claim(self.root, namespace, crawl, adopt=adopt)

    def final_path(self, user: str, suffix: str) -> Path:
        """Where the final of a user is, or will be. ValueError for what is not an id."""
        return self.root / self._place(user, suffix)

    def part_path(self, user: str, suffix: str, seg: str) -> Path:
        """Where a part is. ValueError for what is not an id or not a seg."""
        if not _SEG.fullmatch(seg):
            raise ValueError(f"{seg!r} is not the name of a part")
        place = self._place(user, suffix)
        return self.parts / place.with_name(f"{place.name}.{seg}")

    def _place(self, user: str, suffix: str) -> Path:
        if not self._id_form.accepts(user):
            raise ValueError(f"{user!r} is not an id of the form {self._id_form.name}")
        return Path(self._id_form.shard(user), f"{self._id_form.stem(user)}.{suffix}")

    def start(self, user: str, suffix: str, seg: str) -> GzipDraft:
        """A new, empty part. FileExistsError when the name was used before."""
        path = self.part_path(user, suffix, seg)
        self._make_shard(path.parent)
        return self._draft(folders.create(path), path, user, Extent(suffix, seg, 0, 0))

    def _make_shard(self, folder: Path) -> None:
        """Make a shard folder, once per process: there are few of them and an fsync is dear."""
        if folder not in self._durable or not folder.is_dir():
            folders.make_folder(folder, fsync=self._fsync)
            self._durable.add(folder)

    def _draft(self, descriptor: int, path: Path, user: str, extent: Extent) -> GzipDraft:
        try:
            final = self.final_path(user, extent.suffix)
            return GzipDraft(descriptor, path, final, user, extent, level=self._level, fsync=self._fsync)
        except BaseException:
            os.close(descriptor)
            raise

    def resume(self, user: str, extent: Extent, token: str, *, clean: bool) -> GzipDraft:
        """Go on after a committed extent: in place when clean, else in a copy named by ``token``, synced. LostBytes
        when neither the part nor the final holds it (what there was is kept aside)."""
        path = self.part_path(user, extent.suffix, extent.seg)
        if clean:
            try:
                descriptor = os.open(path, os.O_RDWR)
            except FileNotFoundError:
                pass
            else:
                if os.fstat(descriptor).st_size >= extent.length:
                    return self._draft(descriptor, path, user, extent)
                os.close(descriptor)
        if not extent.length:
            return self.start(user, extent.suffix, token)
        for source in (path, self.final_path(user, extent.suffix)):
            copy = self._copy(source, user, extent, token)
            if copy:
                return copy
        raise self._lost(user, extent)

    def _copy(self, source: Path, user: str, extent: Extent, token: str) -> GzipDraft | None:
        """A new part with the first bytes of a file; None when they are not those of the extent."""
        with opened_if_there(source) as file:
            if file is None or file.size < extent.length:
                return None
            copy = self.start(user, extent.suffix, token)
            try:
                # Checked as it is read: what was checked before could be another file's bytes by now.
                copy.adopt(file.blocks(0, extent.length))
                if copy.extent.crc == extent.crc:
                    copy.sync()
                    return copy
            except BaseException:
                self.discard(copy)
                raise
            self.discard(copy)
        return None

    def _lost(self, user: str, extent: Extent) -> LostBytes:
        part, final = self.part_path(user, extent.suffix, extent.seg), self.final_path(user, extent.suffix)
        kept = [folders.keep_aside(part, part.parent, move=True)] if part.exists() else []
        with opened_if_there(final) as file:
            if file and file.is_damaged():
                kept.append(folders.keep_aside(final, part.parent, move=False))
        names = f"kept as {', '.join(str(path) for path in kept)}" if kept else "nothing was there to keep"
        return LostBytes(f"{extent.length} committed bytes are neither in {part} nor in {final}; {names}")

    def unite(self, draft: Draft, token: str, *, reorder: bool = False) -> GzipDraft:
        """Where the final has items that the finished draft has not: a new part ``<token>.u`` with the union by id,
        newest first, the old draft closed. The draft itself where there is nothing to unite: no final, a suffix that is
        replaced whole, a final that the draft went on from or has copied. reorder: the draft's own items may be out of
        order. CorruptMember when the final is damaged."""
        if not isinstance(draft, GzipDraft):
            raise TypeError(f"a {type(draft).__name__} is not a draft of this archive")
        if draft.file().tail_mark() is None:
            raise ValueError(f"{draft.path.name} has no end mark yet")
        united = self._united(draft.user, draft.suffix, draft.file(), token, _ours, reorder=reorder)
        if united is None:
            draft.sync()
            return draft
        draft.close()
        return united

    def reunite(self, user: str, extent: Extent, token: str) -> Extent:
        """The same for a sealed part, left as it is: what has to be sealed before it can be published, under the later
        of the two end marks. The extent itself where there is nothing to unite. LostBytes without the part."""
        part = self.part_path(user, extent.suffix, extent.seg)
        with opened_if_there(part) as mine:
            if mine is None or mine.size != extent.length:
                raise LostBytes(f"{part} does not hold the {extent.length} bytes that were sealed")
            united = self._united(user, extent.suffix, mine, token, _later)
        if united is None:
            return extent
        united.close()
        return united.extent

    def _united(
        self,
        user: str,
        suffix: str,
        mine: MemberFile,
        token: str,
        choose: Callable[[End, End | None], End],
        *,
        reorder: bool = False,
    ) -> GzipDraft | None:
        """A new part with the items of a file and of the final; None where there is nothing to unite."""
        if suffix in REPLACED_WHOLE:
            return None
        order = self._id_form.order

        def joined(ours: End, held: End | None) -> End:
            holes = sorted({*ours.holes, *(held.holes if held else ())}, key=lambda hole: order(hole[0]), reverse=True)
            return replace(choose(ours, held), holes=tuple(holes))

        with opened_if_there(self.final_path(user, suffix)) as final:
            new = partial(self._start_union, user, suffix, token)
            return unite(mine, final, suffix, order, new, joined, reorder=reorder)

    def _start_union(self, user: str, suffix: str, token: str) -> GzipDraft:
        """A new part named by the token; a second one where the union of a moment ago is outgrown already."""
        for letter in _UNIONS[:-1]:
            with suppress(FileExistsError):
                return self.start(user, suffix, f"{token}.{letter}")
        return self.start(user, suffix, f"{token}.{_UNIONS[-1]}")

    def publish(self, user: str, extent: Extent) -> None:
        """Rename the sealed part to the final, fsync the folder. Twice does no harm. LostBytes when the part is gone
        and the final has another length or CRC-32; Outgrown when a timeline's final has items that the part has not. A
        file that is replaced whole keeps its old final under its date."""
        part, final = self.part_path(user, extent.suffix, extent.seg), self.final_path(user, extent.suffix)
        try:
            size = part.stat().st_size
        except FileNotFoundError:
            self._verify_published(final, extent)
        else:
            if size != extent.length:
                raise LostBytes(f"{part} has {size} bytes, {extent.length} were sealed")
            if extent.suffix in REPLACED_WHOLE:
                self._keep_dated(part, final)
            else:
                self._refuse_to_shrink(part, final, extent.suffix)
            self._rename(part, final, extent)
        if self._fsync:
            sync_folder(final.parent)

    def _rename(self, part: Path, final: Path, extent: Extent) -> None:
        self._make_shard(final.parent)
        try:
            os.rename(part, final)
        except FileNotFoundError:  # another holder of the same seal was faster
            self._verify_published(final, extent)

    def _verify_published(self, final: Path, extent: Extent) -> None:
        with opened_if_there(final) as file:
            if file is None or file.size != extent.length or file.crc(extent.length) != extent.crc:
                raise LostBytes(f"the sealed part {extent.seg} of {final.name} is gone and {final} is not it")

    def _refuse_to_shrink(self, part: Path, final: Path, suffix: str) -> None:
        with opened_if_there(final) as old, opened_if_there(part) as new:
            if old and new and has_more(old, new, suffix, self._id_form.order):
                raise Outgrown(f"{final} has items that {part} has not")

    def _keep_dated(self, part: Path, final: Path) -> None:
        """Give a final that the part does not hold a second name with the day on which it ended, so that the rename
        does not drop it."""
        with opened_if_there(final) as old, opened_if_there(part) as new:
            if old is None or new is None or _holds(new, old):
                return
            day = datetime.fromtimestamp(_ended_at(old), UTC).strftime("%Y%m%d")
        folders.link_free(final, lambda n: final.with_name(f"{final.name}.{day}{'' if n == 1 else f'-{n}'}"))
        if self._fsync:
            sync_folder(final.parent)

    def discard(self, draft: Draft) -> None:
        """Close and delete a part that holds nothing that was committed."""
        draft.close()
        extent = draft.extent
        self.part_path(draft.user, extent.suffix, extent.seg).unlink(missing_ok=True)

    def end_of(self, user: str, suffix: str) -> End | None:
        """The end mark of the final; None without a final (or one without a mark). CorruptMember when it is torn."""
        with opened_if_there(self.final_path(user, suffix)) as file:
            mark = file.mark() if file else None
            return mark.end if mark else None

    def first_id(self, user: str, suffix: str) -> str | None:
        """The newest of the ids that a member of the final begins with: of a timeline, the newest that is held, also
        where members stand out of order."""
        with opened_if_there(self.final_path(user, suffix)) as file:
            firsts = (line for stretch in file.stretches(brief=True) for line in stretch.lines) if file else ()
            ids = (id_of(line, suffix) for line in firsts)
            return max(filter(None, ids), key=self._id_form.order, default=None)

    def members(
        self, user: str, suffix: str, *, skip_lines: int = 0, wanted: Callable[[Head], bool] | None = None
    ) -> Iterator[Member]:
        """The members of a final in order, the end mark too, without its first ``skip_lines`` lines: members wholly
        within them are hopped over, and the first that is not comes with its remaining lines only; those whose head is
        not ``wanted`` are hopped over when their turn comes. Nothing without a final. CorruptMember where bytes are
        damaged or another program's."""
        with opened_if_there(self.final_path(user, suffix)) as file:
            if file:
                yield from file.members(skip_lines, wanted)

    def lines(self, user: str, suffix: str) -> Iterator[bytes]:
        """Every line of a final, in members of ours or of another gzip writer. Nothing without a final."""
        with opened_if_there(self.final_path(user, suffix)) as file:
            if file:
                yield from file.lines()

    def users(self, suffix: str) -> Iterator[str]:
        """Ids that have a final of that suffix, by shard and name; a file in the wrong shard is nobody's."""
        ending = f".{suffix}"
        for shard in _names(self.root):
            for name in _names(self.root / shard) if not shard.startswith(".") else ():
                user = self._id_form.parse_stem(name[: -len(ending)]) if name.endswith(ending) else None
                if user is not None and self._id_form.shard(user) == shard:
                    yield user


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _ours(ours: End, held: End | None) -> End:
    return ours


def _later(ours: End, held: End | None) -> End:
    return held if held and held.at > ours.at else ours


def _holds(new: MemberFile, old: MemberFile) -> bool:
    try:
        return contains(new, old)
    except CorruptMember:  # keep it as it is, for repair
        return False


def _ended_at(file: MemberFile) -> float:
    """Unix seconds of a final's end mark; of the file itself where it has none or is damaged."""
    try:
        mark = file.mark()
    except CorruptMember:
        mark = None
    return mark.end.at if mark and mark.end.at else file.path.stat().st_mtime
