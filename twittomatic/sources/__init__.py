"""Where data comes from: one module per network dialect, and the list of them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from twittomatic.clock import Clock
from twittomatic.errors import SettingsError
from twittomatic.sources.base import Seed, Source
from twittomatic.sources.credentials import Credential
from twittomatic.sources.transport import Transport
from twittomatic.sources.twitter_v1 import TwitterV1
from twittomatic.sources.x_seeds import parse_seed
from twittomatic.sources.x_v2 import XV2

SOURCES: Mapping[str, type[XV2] | type[TwitterV1]] = {"x_v2": XV2, "twitter_v1": TwitterV1}
"""Every source by name. A class takes a Transport, and by keyword the settings that it lists in ``settings``."""

SEED_FORMS: Mapping[str, Callable[[str], Seed]] = {"x_v2": parse_seed, "twitter_v1": parse_seed}
"""Of every source: the user that a line of a seeds file names, or ValueError with the reason."""


def make_source(
    name: str,
    *,
    credentials: Mapping[str, Credential],
    api_url: str = "",
    contact: str = "",
    timeout: tuple[float, float] = (5.0, 30.0),
    proxy: str | None = None,
    clock: Clock | None = None,
    **settings: Any,
) -> Source:
    """A source with a connection pool of its own, for one thread.

    api_url: empty for the network's own; timeout: seconds to connect, seconds between two pieces of an answer;
    settings: ``dialect``, ``fields``; those that the source does not know are not for it. SettingsError where a value
    is impossible.
    """
    if name not in SOURCES:
        close = difflib.get_close_matches(name, SOURCES, n=1)
        mend = f"did you mean {close[0]}?" if close else "known are " + ", ".join(SOURCES)
        raise SettingsError(f"SOURCE {name!r} is unknown", mend)
    kind = SOURCES[name]
    session = Transport(
        api_url or kind.api_url, credentials, contact=contact, timeout=timeout, clock=clock, proxy=proxy
    )
    return kind(session, **{key: value for key, value in settings.items() if key in kind.settings})
