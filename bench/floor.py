"""The fastest way to keep a timeline: receive, slice, compress, fsync; no state, no retries, nothing is looked at.

``python -m bench.floor PORT PATHS FOLDER THREADS``: every path of the file PATHS once, one gzip file per user.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import sys
import threading
import time
import types
import zlib
from itertools import groupby
from pathlib import Path
from queue import Empty, SimpleQueue

import msgspec

from bench.client import Tally, parse_head, request

codec: types.ModuleType
try:
    from isal import isal_zlib as codec
except ImportError:
    codec = zlib
LEVEL = 2 if codec is not zlib else 1


class _Page(msgspec.Struct):
    """A page cut into items and what they refer to: slices of the bytes as they came."""

    data: list[msgspec.Raw] = []
    includes: dict[str, list[msgspec.Raw]] = {}


_decode = msgspec.json.Decoder(_Page).decode


def receive(link: socket.socket, path: str) -> bytes:
    """One body, as it is on the wire."""
    link.sendall(request(path, "gzip"))
    got = link.recv(1 << 18)
    while (head := parse_head(got)) is None:
        got += link.recv(1 << 18)
    start, length = head
    body = bytearray(length)
    filled = len(got) - start
    body[:filled] = got[start:]
    view = memoryview(body)
    while filled < length:
        filled += link.recv_into(view[filled:])
    return bytes(body)


def keep(link: socket.socket, paths: list[str], file: Path, tally: Tally) -> None:
    """The timeline of one user."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        for path in paths:
            page = _decode(codec.decompress(receive(link, path), 31))
            pieces = [*page.data, *(piece for included in page.includes.values() for piece in included)]
            packed = codec.compress(b"\n".join([*pieces, b""]), LEVEL, 31)
            os.write(descriptor, packed)
            os.fsync(descriptor)
            tally.pages += 1
            tally.posts += len(page.data)
            tally.bytes += len(packed)
    finally:
        os.close(descriptor)


def work(port: int, folder: Path, users: SimpleQueue[tuple[str, list[str]]], tally: Tally) -> None:
    """One thread: its own connection, one user after the other."""
    with socket.create_connection(("127.0.0.1", port)) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            try:
                user, paths = users.get_nowait()
            except Empty:
                return
            keep(link, paths, folder / f"{user}.gz", tally)


def main() -> None:
    port, paths, folder, count = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
    users: SimpleQueue[tuple[str, list[str]]] = SimpleQueue()
    for user, own in groupby(paths.read_text().split(), lambda path: path.split("/")[3]):
        users.put((user, list(own)))
    tallies = [Tally() for _ in range(count)]
    threads = [threading.Thread(target=work, args=(port, folder, users, tally)) for tally in tallies]
    before = resource.getrusage(resource.RUSAGE_SELF)
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_SELF)
    told = {
        "pages": sum(tally.pages for tally in tallies),
        "posts": sum(tally.posts for tally in tallies),
        "bytes": sum(tally.bytes for tally in tallies),
        "seconds": seconds,
        "cpu_seconds": used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime,
    }
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
