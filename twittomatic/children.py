"""The programs that this process starts, which end when it does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO

from twittomatic.lifecycle import PARENT_VARIABLE, die_with_parent, is_alive, process_started

_PACKAGE_FOLDER = str(Path(__file__).resolve().parent.parent)
LAST_WORDS_BYTES = 2000


class _DeathPipe:
    """A pipe whose writing end only this process holds: readers see its end when this process is gone."""

    _lock = threading.Lock()
    _ends: tuple[int, int] | None = None
    _pid = 0

    @classmethod
    def reading_end(cls) -> int:
        with cls._lock:
            if cls._ends is None or cls._pid != os.getpid():
                cls._ends, cls._pid = os.pipe(), os.getpid()
            return cls._ends[0]


def guard(pid: int, started: float) -> None:
    """Wait for the end of stdin, the pipe of a parent, then end the program that the parent left behind."""
    while os.read(0, 64):
        pass
    if is_alive(pid, started):
        os.kill(pid, signal.SIGTERM)


class Child:
    """A program that ends with this process. It runs in a session of its own: Ctrl-C reaches only this process.

    command: a command of ours (``python -m twittomatic`` is put in front), which calls ``end_with_parent``; with
    ``program=True`` any other program, which gets SIGTERM when this process dies; name: for people; environment: on
    top of this process's own. Its stderr is kept for a report, its stdout is inherited unless ``read_stdout``.
    """

    def __init__(
        self,
        command: Sequence[str],
        name: str,
        *,
        environment: Mapping[str, str] | None = None,
        program: bool = False,
        read_stdout: bool = False,
    ) -> None:
        self.command = list(command) if program else [sys.executable, "-P", "-m", "twittomatic", *command]
        self.name = name
        self._environment = dict(environment or {})
        self._foreign = program
        self._read_stdout = read_stdout
        self._guard: subprocess.Popen[bytes] | None = None
        self._stderr: IO[bytes] | None = None
        self._last_words = ""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Child:
        """Start the program; again after it ended, too."""
        pipe = _DeathPipe.reading_end()
        self._release()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by _release()
        # The kernel's word is tied to the thread that forks: of another thread than the main one it would come early.
        kernel = self._foreign and sys.platform == "linux" and threading.current_thread() is threading.main_thread()
        self._process = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if self._read_stdout else None,
            stderr=self._stderr,
            env=self._variables(pipe),
            pass_fds=() if self._foreign else (pipe,),
            start_new_session=True,
            preexec_fn=partial(die_with_parent, os.getpid()) if kernel else None,
        )
        if self._foreign and not kernel:
            self._guard = self._start_guard(pipe)
        return self

    def _variables(self, pipe: int) -> dict[str, str]:
        """Ours find the package where we found it, and nothing in the working folder: that is what ``-P`` is for."""
        variables = {**os.environ, **self._environment}
        if not self._foreign:
            variables[PARENT_VARIABLE] = f"{os.getpid()}:{pipe}:{os.fstat(pipe).st_ino}"
            variables["PYTHONPATH"] = os.pathsep.join(filter(None, [_PACKAGE_FOLDER, variables.get("PYTHONPATH")]))
        return variables

    def _start_guard(self, pipe: int) -> subprocess.Popen[bytes]:
        watched = f"{self.pid}, {process_started(self.pid) or 0.0!r}"
        code = f"from twittomatic.children import guard; guard({watched})"
        return subprocess.Popen(
            [sys.executable, "-P", "-c", code],
            stdin=pipe,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": _PACKAGE_FOLDER},
            start_new_session=True,
        )

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The started process."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process

    @property
    def pid(self) -> int:
        """Pid of the program."""
        return self.process.pid

    @property
    def running(self) -> bool:
        """Is it alive?"""
        return self._process is not None and self._process.poll() is None

    @property
    def status(self) -> int | None:
        """Exit status (negative: the signal that ended it), None while it runs."""
        return self.process.poll()

    def read_line(self, seconds: float) -> bytes:
        """The next line of its stdout; empty when it ended or said nothing for so long."""
        found: list[bytes] = []
        assert self.process.stdout is not None
        reader = threading.Thread(target=lambda: found.append(self.process.stdout.readline()), daemon=True)  # type: ignore[union-attr]
        reader.start()
        reader.join(seconds)
        return found[0] if found else b""

    def errors(self) -> str:
        """The end of what it wrote on stderr."""
        if self._stderr is not None:
            size = os.fstat(self._stderr.fileno()).st_size
            last = os.pread(self._stderr.fileno(), LAST_WORDS_BYTES, max(size - LAST_WORDS_BYTES, 0))
            self._last_words = last.decode("utf-8", "replace").strip()
        return self._last_words

    def report(self) -> str:
        """How it ended, with its last words."""
        status = self.status
        if status is None:
            return f"{self.name} (pid {self.pid}) is running"
        how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"exited with status {status}"
        words = self.errors()
        return f"{self.name} (pid {self.pid}) {how}" + (f":\n{words}" if words else "")

    def terminate(self) -> None:
        """Ask it to stop (SIGTERM), without waiting."""
        if self.running:
            self.process.terminate()

    def wait(self, seconds: float) -> int | None:
        """Its exit status, None when it still runs after so long."""
        try:
            return self.process.wait(max(seconds, 0.0))
        except subprocess.TimeoutExpired:
            return None

    def stop(self, grace_seconds: float = 10.0) -> int | None:
        """Ask it to stop, kill it after the grace; its exit status, None where it was never started."""
        if self._process is None:
            return None
        self.terminate()
        if self.wait(grace_seconds) is None:
            self._process.kill()
        self._process.wait()
        self._release()
        return self._process.returncode

    def _release(self) -> None:
        """Give back what was held for a program that ended; its last words stay."""
        self.errors()
        for file in (self._stderr, self._process.stdout if self._process else None):
            if file is not None:
                file.close()
        self._stderr = None
        if self._guard is not None:
            self._guard.kill()
            self._guard.wait()
            self._guard = None


def stop_all(children: Sequence[Child], grace_seconds: float = 10.0) -> None:
    """Ask all to stop at once, then kill those that did not within the grace."""
    for child in children:
        child.terminate()
    deadline = time.monotonic() + grace_seconds
    for child in children:
        child.stop(max(deadline - time.monotonic(), 0.0))
