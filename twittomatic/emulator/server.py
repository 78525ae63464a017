"""The twin as an HTTP server: one process, one event loop, keep-alive, gzip where it is asked for."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import signal
import socket
import struct
import threading
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote_plus

from aiohttp import web

from twittomatic.emulator import faults
from twittomatic.emulator.answers import Answer
from twittomatic.emulator.faults import FaultPlan, Faults, load_faults
from twittomatic.emulator.generated import GeneratedGraph
from twittomatic.emulator.graph import EdgeListGraph, Graph
from twittomatic.emulator.ledger import PRICES, Ledger
from twittomatic.emulator.limits import load_limits
from twittomatic.emulator.recorded import recorded_pool
from twittomatic.emulator.service import Service, Verdict
from twittomatic.emulator.shapes import DIALECTS
from twittomatic.emulator.truth import Requests, Truth
from twittomatic.emulator.tweets import generated_pool
from twittomatic.emulator.v1 import TwitterV1
from twittomatic.emulator.v2 import XV2
from twittomatic.emulator.world import World
from twittomatic.errors import SettingsError, Unsuitable

try:
    from isal import isal_zlib

    def _gzip(body: bytes) -> bytes:
        return isal_zlib.compress(body, 1, 31)
except ImportError:

    def _gzip(body: bytes) -> bytes:
        return zlib.compress(body, 1, 31)


_HTML = b"<!DOCTYPE html><html><head><title>Over capacity</title></head><body><h1>Try again</h1></body></html>"


@dataclass(frozen=True, slots=True)
class EmulatorOptions:
    """What a twin is started with.

    graph: edge list, else ``users`` users are generated; map_ids: 19-digit ids for an edge list; tweets: file or
    folder of recorded posts; limits: real, none or a TOML file; faults: a TOML file or a plan; dialect: tweet or post,
    for requests that do not show theirs; compress: answer gzip to those who accept it; hidden: share of users who are
    protected, suspended or deleted (default 0.06, with an edge list 0); tweets_scale: about half of the users have
    posted less than this (default 30, with recorded posts 3); short_pages: share of pages shorter than asked.
    """

    port: int = 0
    host: str = "127.0.0.1"
    graph: Path | None = None
    map_ids: bool = False
    tweets: Path | None = None
    users: int = 10_000
    seed: int = 1
    limits: str | Path = "none"
    faults: Path | FaultPlan | None = None
    dialect: str = "tweet"
    compress: bool = True
    hidden: float | None = None
    tweets_scale: int | None = None
    short_pages: float = 0.03
    prices: Mapping[str, float] | None = None


def build_service(options: EmulatorOptions) -> Service:
    """The world of these options and everything that answers for it."""
    if options.dialect not in DIALECTS:
        raise SettingsError(f"unknown dialect {options.dialect!r}", f"Known are {' and '.join(DIALECTS)}")
    graph: Graph
    if options.graph is not None:
        graph = EdgeListGraph(options.graph, map_ids=options.map_ids)
    else:
        graph = GeneratedGraph(options.users, options.seed)
    hidden = options.hidden if options.hidden is not None else 0.06 if options.graph is None else 0.0
    scale = options.tweets_scale if options.tweets_scale is not None else 30 if options.tweets is None else 3
    world = World(graph, options.seed, hidden=hidden, tweets_scale=scale)
    pool = generated_pool(world) if options.tweets is None else recorded_pool(options.tweets)
    plan = options.faults if isinstance(options.faults, FaultPlan) else load_faults(options.faults)
    short = options.short_pages if plan.short_pages is None else plan.short_pages
    api = XV2(world, pool, dialect=options.dialect, short_pages=short, single_missing=plan.single_missing)
    legacy = TwitterV1(world, pool, short_pages=short)
    ledger, requests = Ledger(options.prices or PRICES), Requests()
    truth = Truth(world, pool, api, ledger, requests)
    return Service(api, legacy, load_limits(options.limits), Faults(plan), ledger, requests, truth)


class _Handler:
    """One HTTP request to one HTTP answer, or to one of the ways in which there is none."""

    def __init__(self, service: Service, options: EmulatorOptions) -> None:
        self._service, self._compress = service, options.compress
        plan = service.faults.plan
        self._latency, self._slow = plan.latency_ms, plan.slow_seconds

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        params = _read_query(query)
        if request.method == "POST":
            body = await request.read()
            params |= _read_query(body.decode("utf-8", "replace"))
        headers = request.headers
        verdict = self._service.answer(request.method, path, params, headers.get("Authorization"))
        gzip = self._compress and "gzip" in headers.get("Accept-Encoding", "") and len(verdict.answer.body) > 256
        if verdict.fault is not None:
            return await self._spoil(request, verdict, gzip)
        return _respond(verdict.answer, gzip)

    async def _spoil(self, request: web.BaseRequest, verdict: Verdict, gzip: bool) -> web.StreamResponse:
        """Commit the fault; what the service did already (status, empty, short, partial) goes out as it is."""
        answer, fault = verdict.answer, verdict.fault
        if fault == faults.LATENCY:
            low, high = self._latency
            await asyncio.sleep((low + (high - low) * verdict.measure) / 1000)
        elif fault == faults.HTML:
            return _respond(Answer(200, _HTML, content_type="text/html; charset=utf-8"), gzip=False)
        elif fault == faults.SLOW:
            return await self._dribble(request, answer, gzip)
        elif fault == faults.RESET:
            _reset(request)
        elif fault == faults.CUT_GZIP and gzip:
            whole = _gzip(answer.body)
            return _packed(answer, whole[: max(12, int(len(whole) * verdict.measure))])
        elif fault in (faults.CUT, faults.CUT_GZIP):
            _cut(request, answer, verdict.measure)
        return _respond(answer, gzip)

    async def _dribble(self, request: web.BaseRequest, answer: Answer, gzip: bool) -> web.StreamResponse:
        """The body in eight pieces over the plan's time."""
        response = _respond(answer, gzip)
        body = response.body if isinstance(response.body, bytes) else b""
        stream = web.StreamResponse(status=response.status, headers=response.headers)
        stream.content_length = len(body)
        await stream.prepare(request)
        step = max(1, -(-len(body) // 8))
        for start in range(0, len(body), step):
            await stream.write(body[start : start + step])
            await asyncio.sleep(self._slow / 8)
        await stream.write_eof()
        return stream


def _read_query(query: str) -> dict[str, str]:
    """Parameters by name, the last of one name wins."""
    return dict(map(_pair, query.split("&"))) if query else {}


@lru_cache(maxsize=8192)
def _pair(text: str) -> tuple[str, str]:
    """One parameter; lists of fields are long and always the same."""
    name, _, value = text.partition("=")
    return unquote_plus(name), unquote_plus(value)


def _respond(answer: Answer, gzip: bool) -> web.Response:
    if gzip:
        return _packed(answer, _gzip(answer.body))
    return web.Response(body=answer.body, status=answer.status, headers=_headers(answer))


def _packed(answer: Answer, packed: bytes) -> web.Response:
    headers = {**_headers(answer), "Content-Encoding": "gzip"}
    return web.Response(body=packed, status=answer.status, headers=headers)


def _headers(answer: Answer) -> dict[str, str]:
    return {"Content-Type": answer.content_type, "api-version": "2.167", **answer.headers}


def _reset(request: web.BaseRequest) -> None:
    """Break the connection with RST before anything is answered."""
    transport = request.transport
    if transport is not None:
        link = transport.get_extra_info("socket")
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


def _cut(request: web.BaseRequest, answer: Answer, measure: float) -> None:
    """Announce the whole body, send a part of it, close."""
    transport = request.transport
    if transport is not None:
        head = f"HTTP/1.1 {answer.status} OK\r\nContent-Type: {answer.content_type}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
        head += f"Content-Length: {len(answer.body) + 1}\r\n\r\n"
        transport.write(head.encode() + answer.body[: int(len(answer.body) * measure)])
        transport.close()


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket whose connections take a whole page in one write."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        link = socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        mend = "Choose another port, or 0 for a free one"
        raise Unsuitable(f"cannot listen on {host}:{port}: {error.strerror}", mend) from error
    link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    return link


async def serve(options: EmulatorOptions, ready: Callable[[str], None], stop: asyncio.Event) -> None:
    """Serve until ``stop`` is set. ``ready`` is called once with the base URL."""
    server = web.Server(_Handler(build_service(options), options), access_log=None)
    runner = web.ServerRunner(server, shutdown_timeout=1.0)
    await runner.setup()
    try:
        link = _listen(options.host, options.port)
        await web.SockSite(runner, link, backlog=1024).start()
        host, port = link.getsockname()[:2]
        ready(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
        await stop.wait()
    finally:
        await runner.cleanup()


def keep_memory() -> None:
    """For a process that is only a twin: let the C library keep freed pages of some hundred kilobytes (giving each back
    costs as much as filling it), and collect garbage seldom."""
    with contextlib.suppress(AttributeError, OSError, TypeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(-1, 1 << 27)  # M_TRIM_THRESHOLD
        libc.mallopt(-3, 1 << 25)  # M_MMAP_THRESHOLD
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def run(options: EmulatorOptions, ready: Callable[[str], None] = lambda url: None) -> None:
    """Serve in this process until SIGTERM or Ctrl-C."""
    keep_memory()

    async def main() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(number, stop.set)
        await serve(options, ready, stop)

    asyncio.run(main())


class Emulator:
    """A twin in a thread of this process. ``with Emulator(options) as url: ...``"""

    def __init__(self, options: EmulatorOptions | None = None) -> None:
        self.options = options or EmulatorOptions()
        self.url = ""
        self._stop: Callable[[], None] = lambda: None
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._failure: BaseException | None = None

    def start(self) -> str:
        """Serve; returns the base URL once it answers."""
        self._thread = threading.Thread(target=self._run, name="emulator", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure
        return self.url

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:
            self._failure = error
        finally:
            self._ready.set()

    async def _main(self) -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()

        def halt() -> None:
            loop.call_soon_threadsafe(stop.set)

        def ready(url: str) -> None:
            self.url, self._stop = url, halt
            self._ready.set()

        await serve(self.options, ready, stop)

    def stop(self) -> None:
        """Close every connection and wait for the thread."""
        if self._thread is not None and self._thread.is_alive():
            self._stop()
            self._thread.join()
        self._thread = None

    def __enter__(self) -> str:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()
