"""Folders and names on disk: made durably, created once, kept aside without overwriting, and owned by one crawl."""

from __future__ import annotations

import itertools
import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from twittomatic.archive.atomic import sync_folder, temporary, write_atomic
from twittomatic.errors import InUse, Unsuitable

CRAWL_FILE = ".crawl"


def make_folder(folder: Path, *, fsync: bool) -> None:
    """Make a folder and those above it. Its name is fsynced into the folder that holds it even where it is there
    already: whoever made it may not have come so far."""
    if not folder.parent.is_dir():
        make_folder(folder.parent, fsync=fsync)
    folder.mkdir(exist_ok=True)
    if fsync:
        sync_folder(folder.parent)


def create(path: Path) -> int:
    """Descriptor of a new file for reading and writing. FileExistsError when the name is taken."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)


def link_free(source: Path, names: Callable[[int], Path]) -> Path:
    """Hard link a file to the first free of ``names(1)``, ``names(2)``, ...; one that is this file already is it."""
    for number in itertools.count(1):
        target = names(number)
        try:
            os.link(source, target)
        except FileExistsError:
            if not target.samefile(source):
                continue
        return target
    raise AssertionError("unreachable")


def keep_aside(path: Path, folder: Path, *, move: bool) -> Path:
    """Keep a damaged file as ``<name>.lost`` in a folder of its file system, overwriting nothing; where ``move`` is
    false it stays in its place too, for those who read it."""
    make_folder(folder, fsync=True)
    kept = link_free(path, lambda n: folder / f"{path.name}.lost{'' if n == 1 else f'-{n}'}")
    if move:
        path.unlink()
        sync_folder(path.parent)
    sync_folder(folder)
    return kept


def claim(root: Path, namespace: str, crawl: str, *, adopt: bool) -> None:
    """Name the crawl that an output folder belongs to. InUse where it belongs to another and is not adopted."""
    path = root / CRAWL_FILE
    owner = json.dumps({"namespace": namespace, "crawl": crawl}, ensure_ascii=False).encode()
    make_folder(root, fsync=True)
    if not adopt and not path.exists():
        with temporary(path) as file:
            file.write(owner)
            file.flush()
            os.fsync(file.fileno())
            try:
                os.link(file.name, path)  # unlike a rename it cannot take the folder from one who was faster
                sync_folder(root)
            except FileExistsError:
                pass
    held = _owner(path)
    if held == (namespace, crawl):
        return
    if not adopt:
        whose = f"crawl {held[1]} of namespace {held[0]}" if held else f"something else ({CRAWL_FILE} is unreadable)"
        raise InUse(f"the output folder {root} belongs to {whose}", "give another folder, or take it over with --adopt")
    write_atomic(path, owner)


def _owner(path: Path) -> tuple[str, str] | None:
    try:
        told = json.loads(path.read_bytes())
        return str(told["namespace"]), str(told["crawl"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def check_pair(root: Path, parts: Path) -> None:
    """Make both folders and try what a publish needs: write, fsync, link, rename across. Unsuitable otherwise."""
    for folder in (root, parts):
        try:
            make_folder(folder, fsync=True)
        except OSError as error:
            raise Unsuitable(f"cannot make {folder}: {error.strerror}", "give a folder you may write to") from error
    if os.stat(root).st_dev != os.stat(parts).st_dev:
        raise _apart(root, parts)
    name = f".try-{secrets.token_hex(8)}"
    tried = [parts / name, parts / f"{name}.link", root / name]
    try:
        _try_publish(*tried)
    except OSError as error:
        raise Unsuitable(
            f"cannot write to {root} and {parts}: {error.strerror}",
            "both folders must be writable and on one file system that knows hard links",
        ) from error
    finally:
        for path in tried:
            path.unlink(missing_ok=True)


def _try_publish(part: Path, link: Path, final: Path) -> None:
    descriptor = create(part)
    try:
        os.pwrite(descriptor, b"try", 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.link(part, link)
    os.rename(part, final)
    sync_folder(final.parent)


def _apart(root: Path, parts: Path) -> Unsuitable:
    return Unsuitable(
        f"{parts} is on another file system than {root}: a part could not be renamed to a final",
        "set TEMPORARY_DIRECTORY to a folder on the file system of OUTPUT_DIRECTORY, or leave it out",
    )
