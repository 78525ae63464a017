"""How this process stops (signals, a parent that died), and which folder it alone may work in."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import shlex
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import psutil
import ujson

from twittomatic.errors import InUse, Unsuitable

PARENT_VARIABLE = "TWITTOMATIC_PARENT"
"""``<pid>:<file descriptor>:<inode>`` of the parent and of a pipe that ends when the parent does."""

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_CLOCK_STEP_SECONDS = 3.0
"""A process's start is computed from the wall clock, which may be set while it runs."""


def process_started(pid: int) -> float | None:
    """Unix seconds at which a process started; None where there is no such process (or only its zombie)."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except (psutil.NoSuchProcess, ValueError):
        return None
    except psutil.AccessDenied:
        return 0.0


def is_alive(pid: int, started: float) -> bool:
    """Is this still the process that started then? A reused pid is another process."""
    found = process_started(pid)
    return found is not None and (found == 0.0 or abs(found - started) < _CLOCK_STEP_SECONDS)


def machine() -> str:
    """What tells this machine's processes from another's: host name, boot, and the container's own pids."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(os.readlink("/proc/self/ns/pid"))
    return "/".join(parts)


class Stopper:
    """SIGTERM and SIGINT ask this process to stop: the first sets ``event``, the second exits at once. SIGHUP, the
    closed terminal, asks too, but may come several times; where it is ignored (nohup) it stays so.

    A handler that sets an event itself can meet the main thread while it holds that event's lock, and stand still for
    ever: so the handler writes a byte, and a thread does the rest.
    """

    def __init__(self) -> None:
        self.event = threading.Event()
        self.reason = ""
        self.signal: int | None = None
        self._callbacks: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._previous: dict[int, Any] = {}
        self._writing_end = -1

    @property
    def stopping(self) -> bool:
        """Was this process asked to stop?"""
        return self.event.is_set()

    @property
    def exit_status(self) -> int:
        """0, or 128 + the signal that asked for the stop."""
        return 128 + self.signal if self.signal else 0

    def install(self) -> Stopper:
        """Take the signals over; only in the main thread."""
        reading_end, self._writing_end = os.pipe()
        os.set_blocking(self._writing_end, False)
        threading.Thread(target=self._listen, args=(reading_end,), name="signals", daemon=True).start()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                self._previous[number] = signal.signal(number, self._caught)
        return self

    def restore(self) -> None:
        """Give the signals back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()
        if self._writing_end >= 0:
            os.close(self._writing_end)
            self._writing_end = -1

    def __enter__(self) -> Stopper:
        return self.install()

    def __exit__(self, *_exception: object) -> None:
        self.restore()

    def call(self, callback: Callable[[], None]) -> None:
        """Call this once, from another thread, when the stop is asked for; at once where it already was."""
        with self._lock:
            if not self.stopping:
                self._callbacks.append(callback)
                return
        callback()

    def request(self, reason: str) -> None:
        """Ask for the stop from within; not to be called in a signal handler."""
        with self._lock:
            self.reason = self.reason or reason
            self.event.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def wait(self, seconds: float) -> bool:
        """True as soon as the stop is asked for, False after so many seconds."""
        return self.event.wait(max(seconds, 0.0))

    def _caught(self, number: int, _frame: FrameType | None) -> None:
        os.write(self._writing_end, bytes([number]))

    def _listen(self, reading_end: int) -> None:
        while received := os.read(reading_end, 1):
            number = received[0]
            if self.stopping:
                if number != signal.SIGHUP:
                    os._exit(128 + number)
                continue
            self.signal = number
            self.request(f"received {signal.Signals(number).name}")
        os.close(reading_end)


def end_with_parent(stopper: Stopper, grace_seconds: float = 15.0) -> None:
    """From now on the death of the parent, by whatever, is a wish to stop; after the grace the process is gone.

    The parent is the process that started this one through ``Child``: a pipe that only it holds ends with it, on any
    system and whatever thread started us. Without such a pipe it is the parent that we have now, looked at 5 times a
    second.
    """
    expected, pipe = _parent_of_env()

    def watch() -> None:
        if pipe is not None:
            while os.read(pipe, 64):
                pass
        else:
            while os.getppid() == expected:
                time.sleep(0.2)
        stopper.request(f"the parent process {expected} is gone")
        time.sleep(grace_seconds)
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def has_parent() -> bool:
    """Was this process started through ``Child``?"""
    return _parent_of_env()[1] is not None


def _parent_of_env() -> tuple[int, int | None]:
    """Pid of the parent and its pipe. A variable that was passed on by somebody else names no pipe of ours."""
    with contextlib.suppress(ValueError, OSError):
        pid, descriptor, inode = map(int, os.environ.get(PARENT_VARIABLE, "").split(":"))
        if os.fstat(descriptor).st_ino == inode:
            return pid, descriptor
    return os.getppid(), None


def die_with_parent(parent: int) -> None:
    """Linux: SIGTERM when the thread that forked this process ends. Runs between fork and exec, so it does little."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


class FolderLock:
    """A lock on ``<folder>/.lock`` that ends with the process, however it ends. The file stays: it is never removed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / ".lock"
        self._descriptor: int | None = None

    def acquire(self) -> FolderLock:
        """Take the lock. InUse names the holder; Unsuitable where the file system knows no locks."""
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise Unsuitable(f"{self.folder}: the file system knows no locks ({error.strerror})") from error
            raise InUse(f"{self.folder} is in use: {described(self.holder())}", "wait for it or stop it") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, ujson.dumps(_self(), escape_forward_slashes=False).encode() + b"\n", 0)
        self._descriptor = descriptor
        return self

    def release(self) -> None:
        """Give the lock back; twice does no harm."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def holder(self) -> dict[str, Any]:
        """pid, host, command, since (unix seconds) of who holds it or held it last and was killed; empty: nobody."""
        try:
            found = ujson.loads(self.path.read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def __enter__(self) -> FolderLock:
        return self.acquire()

    def __exit__(self, *_exception: object) -> None:
        self.release()


def described(holder: dict[str, Any]) -> str:
    """A holder in words."""
    if not holder:
        return "held by a process that did not say its name"
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder.get("since", 0)))
    return f"held by pid {holder.get('pid')} on host {holder.get('host')} since {since}: {holder.get('command')}"


def _self() -> dict[str, Any]:
    command = shlex.join([Path(sys.argv[0]).name.replace("__main__.py", "twittomatic"), *sys.argv[1:]])
    return {"pid": os.getpid(), "host": socket.gethostname(), "command": command[:500], "since": int(time.time())}
