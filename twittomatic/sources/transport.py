"""HTTP: one pooled session, signing, bodies read raw and inflated here, and nothing that waits for ever."""

from __future__ import annotations

import http.cookiejar
import time
import types
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests_oauthlib import OAuth1

from twittomatic import __version__
from twittomatic.clock import Clock, SystemClock
from twittomatic.errors import CredentialsError, SettingsError, SourceError, Transient, UnknownBody
from twittomatic.job import Window
from twittomatic.sources.credentials import BEARER, Credential
from twittomatic.sources.windows import windows_of

codec: types.ModuleType
try:
    from isal import isal_zlib as codec
except ImportError:  # no wheel for this platform: the same bytes, at half the speed
    codec = zlib

MAX_BODY_BYTES = 64 * 1024 * 1024
"""The largest body that is taken, on the wire and inflated."""
MAX_ANSWER_SECONDS = 120.0
"""An answer that drips for so long is given up, however regular its drops."""
_READ_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: headers by lower-case name, the body inflated (a refusal's with our secrets taken out)."""

    endpoint: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    windows: tuple[Window, ...]
    credential: Credential
    now: float

    @property
    def is_html(self) -> bool:
        """A page for people: a proxy, a load balancer or a maintenance sign answered instead of the API."""
        start = self.body[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
        return start.startswith((b"<!doctype", b"<html", b"<head", b"<body", b"<?xml", b"<!--"))

    def unknown(self, why: str) -> UnknownBody:
        """The error for an answer of no known form, with its first bytes for a person to read."""
        return UnknownBody(
            f"{self.endpoint}: {why}",
            status=self.status,
            windows=self.windows,
            body=self.credential.redact(self.body[:65536]),
        )


class Transport:
    """Requests to one API. Belongs to one thread.

    credentials: by label; contact: told in the User-Agent; timeout: seconds to connect, seconds between two pieces of
    an answer; proxy: URL, the only way a proxy is used (the environment is not asked).
    """

    def __init__(
        self,
        api_url: str,
        credentials: Mapping[str, Credential],
        *,
        contact: str = "",
        timeout: tuple[float, float] = (5.0, 30.0),
        clock: Clock | None = None,
        proxy: str | None = None,
        max_body_bytes: int = MAX_BODY_BYTES,
        max_answer_seconds: float = MAX_ANSWER_SECONDS,
    ) -> None:
        self._url = _checked_url(api_url)
        self._credentials = dict(credentials)
        self._signers = {label: _signer(credential) for label, credential in credentials.items()}
        self._timeout = timeout
        self._clock = clock or SystemClock()
        self._max_body_bytes = max_body_bytes
        self._max_answer_seconds = max_answer_seconds
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.clear()
        self._session.headers.update(
            {"User-Agent": user_agent(contact), "Accept": "application/json", "Accept-Encoding": "gzip"}
        )
        self._session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
        if proxy:
            self._session.proxies = {"http": proxy, "https": proxy}
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_connections=2, pool_maxsize=2, max_retries=0))

    def get(self, path: str, parameters: Mapping[str, str], *, credential: str) -> Answer:
        """GET one path with a query."""
        return self._ask(requests.Request("GET", self._url + path, params=parameters), path, credential)

    def post(self, path: str, form: Mapping[str, str], *, credential: str) -> Answer:
        """POST one form."""
        return self._ask(requests.Request("POST", self._url + path, data=form), path, credential)

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    def _ask(self, request: requests.Request, path: str, label: str) -> Answer:
        """One request. Errors: Transient for what the network did, UnknownBody for a body beyond the bounds."""
        if label not in self._credentials:
            known = ", ".join(sorted(self._credentials)) or "none"
            raise CredentialsError(f"no credential {label!r} here", f"known here: {known}")
        credential = self._credentials[label]
        request.auth = self._signers[label]
        prepared = self._session.prepare_request(request)
        try:
            return self._send(prepared, path, credential)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as fault:
            failure = Transient(f"{path}: {_why(fault)}")
        # Raised outside of the handler: the caught error holds the request, and the request holds the secret.
        raise failure

    def _send(self, request: requests.PreparedRequest, path: str, credential: Credential) -> Answer:
        deadline = time.monotonic() + self._max_answer_seconds
        with self._session.send(
            request, stream=True, timeout=self._timeout, allow_redirects=False, proxies=self._session.proxies
        ) as response:
            now = self._clock.now()
            headers = {name.lower(): value for name, value in response.headers.items()}
            windows = windows_of(headers, bearer=credential.kind == BEARER, now=now)
            try:
                body = inflate(self._read(response, headers, deadline), headers, self._max_body_bytes)
            except SourceError as error:
                error.status, error.windows, error.detail = response.status_code, windows, f"{path}: {error.detail}"
                error.args = (error.detail,)
                raise
        if response.status_code != requests.codes.ok:
            body = credential.redact(body)
        return Answer(path, response.status_code, headers, body, windows, credential, now)

    def _read(self, response: requests.Response, headers: Mapping[str, str], deadline: float) -> bytes:
        """The body as it is on the wire, whole or not at all."""
        pieces: list[bytes] = []
        size = 0
        while piece := response.raw.read1(_READ_BYTES, decode_content=False):
            pieces.append(piece)
            size += len(piece)
            if size > self._max_body_bytes:
                raise UnknownBody(f"the body is larger than {self._max_body_bytes} bytes", body=pieces[0])
            if time.monotonic() > deadline:
                raise Transient(f"the answer took longer than {self._max_answer_seconds:g} s")
        promised = headers.get("content-length", "")
        if promised.isdigit() and int(promised) != size:
            raise Transient(f"the body was cut: {size} of {promised} bytes")
        return b"".join(pieces)


def user_agent(contact: str) -> str:
    """Who we are, truthfully, in one line."""
    if not (contact.isascii() and contact.isprintable()) and contact:
        raise SettingsError(f"CONTACT {contact!r} holds characters that no header can carry", "use ASCII on one line")
    return f"twittomatic/{__version__}" + (f" (+{contact})" if contact else "")


def inflate(raw: bytes, headers: Mapping[str, str], limit: int) -> bytes:
    """The body without its gzip coding, all members of it. Transient when it is cut or damaged, UnknownBody when it
    is coded in a way that we did not ask for or would become larger than ``limit`` bytes."""
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding in ("identity", ""):
        return raw
    if coding not in ("gzip", "x-gzip"):
        raise UnknownBody(f"Content-Encoding {coding!r} was not asked for", body=raw)
    pieces: list[bytes] = []
    room = limit
    rest = raw
    while rest.strip(b"\0") or not pieces:
        member = codec.decompressobj(wbits=31)
        try:
            piece = member.decompress(rest, room + 1)
        except codec.error as error:
            raise Transient(f"the gzip body is damaged: {error}") from None
        room -= len(piece)
        if room < 0:
            raise UnknownBody(f"the body inflates to more than {limit} bytes", body=raw)
        if not member.eof:
            raise Transient(f"the gzip body was cut after {len(raw)} bytes")
        pieces.append(piece)
        rest = member.unused_data
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class _Bearer(requests.auth.AuthBase):
    """Signs with an app's token."""

    def __init__(self, credential: Credential) -> None:
        self._credential = credential

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._credential.reveal()[0]}"
        return request


def _signer(credential: Credential) -> requests.auth.AuthBase:
    if credential.kind == BEARER:
        return _Bearer(credential)
    key, secret, token, token_secret = credential.reveal()
    return OAuth1(key, secret, token, token_secret)


def _checked_url(api_url: str) -> str:
    parts = urlsplit(api_url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise SettingsError(f"API_URL {api_url!r} is no address of an API", "write https://host or http://host:port")
    return api_url.rstrip("/")


def _why(fault: Exception) -> str:
    """What happened, without the URL, its query and the machinery around it."""
    if isinstance(fault, requests.ConnectTimeout):
        return "no connection in time"
    if isinstance(fault, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError):
        return "no answer in time"
    if isinstance(fault, requests.exceptions.SSLError | urllib3.exceptions.SSLError):
        return "the server's certificate or TLS was not accepted"
    if isinstance(fault, requests.exceptions.ProxyError):
        return "the proxy did not connect"
    if isinstance(fault, urllib3.exceptions.IncompleteRead):
        return "the body was cut"
    seen: BaseException | None = fault
    while seen is not None:
        if isinstance(seen, ConnectionError) and not isinstance(seen, requests.RequestException):
            return f"the connection was lost ({type(seen).__name__})"
        seen = seen.__cause__ or seen.__context__
    return f"the request failed ({type(fault).__name__})"
