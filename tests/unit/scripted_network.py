"""A network of one test: a real HTTP server on the loopback that gives prepared answers and keeps what it was asked."""

from __future__ import annotations

import gzip
import json
import socket
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass
class Asked:
    """One request as it came in. parameters: of the query, or of the form of a POST."""

    method: str
    path: str
    parameters: dict[str, str]
    headers: Mapping[str, str]
    connection: int


@dataclass
class Reply:
    """One prepared answer. ``raw``: bytes for the socket instead of a well-formed answer; ``reset``: the connection is
    torn down; ``hold``: the answer stays away until the event is set."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    gzip: bool = False
    raw: bytes | None = None
    reset: bool = False
    hold: threading.Event | None = None

    def encoded(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class ScriptedNetwork:
    """Answers requests with the replies in order, the last one for ever."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.asked: list[Asked] = []
        self.connections = 0
        network = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 1 << 16  # head and body in one segment: two would wait for each other

            def setup(self) -> None:
                super().setup()
                network.connections += 1
                self.number = network.connections

            def do_GET(self) -> None:
                self.serve(urlsplit(self.path).query)

            def do_POST(self) -> None:
                self.serve(self.rfile.read(int(self.headers["Content-Length"])).decode())

            def serve(self, parameters: str) -> None:
                path = urlsplit(self.path).path
                network.asked.append(
                    Asked(self.command, path, dict(parse_qsl(parameters)), dict(self.headers), self.number)
                )
                reply = network.replies.pop(0) if len(network.replies) > 1 else network.replies[0]
                if reply.hold is not None:
                    reply.hold.wait(20)
                if reply.reset:
                    linger = struct.pack("ii", 1, 0)
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    self.close_connection = True
                elif reply.raw is not None:
                    self.wfile.write(reply.raw)
                    self.close_connection = True
                else:
                    self.answer(reply)

            def answer(self, reply: Reply) -> None:
                body = gzip.compress(reply.encoded(), 1) if reply.gzip else reply.encoded()
                self.send_response(reply.status)
                headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **reply.headers}
                if reply.gzip:
                    headers["Content-Encoding"] = "gzip"
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """A client that leaves early is what some tests are about."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def __enter__(self) -> ScriptedNetwork:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def answer_of(
    status: int, body: object, headers: Mapping[str, str] | None = None, *, now: float = 1_800_000_000.0
) -> Any:
    """The Answer that a Transport makes of such a reply, without the network."""
    from twittomatic.sources.credentials import Credential
    from twittomatic.sources.transport import Answer
    from twittomatic.sources.windows import windows_of

    given = {name.lower(): value for name, value in (headers or {}).items()}
    windows = windows_of(given, bearer=True, now=now)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    credential = Credential("a", "bearer", ["a-token-of-the-test"])
    return Answer("/2/users/12/tweets", status, given, raw, windows, credential, now)
