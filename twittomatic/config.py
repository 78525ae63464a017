"""Every setting: its type, default and meaning, where its value came from, and nothing about what is done with it."""

from __future__ import annotations

import dataclasses
import os
import re
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit, urlunsplit

import ujson

from twittomatic.errors import SettingsError
from twittomatic.settings_file import nearest, read_settings

PREFIX = "TWITTOMATIC_"
FILE_VARIABLE = "TWITTOMATIC_SETTINGS"
DEFAULT = "default"
_FOLDER = Path(__file__).resolve().parent.parent
CHECKOUT_FILE = _FOLDER / "settings.py" if (_FOLDER / "setup.cfg").is_file() else None
"""The file beside the package; an installed package has none, whatever lies beside it."""
HIDDEN = "********"

Kind = Literal["timeline", "follower", "analyzer", "update"]
Traversal = Literal["default", "bfs", "dfs", "priority"]
Level = Literal["debug", "info", "warning", "error"]

FORMS: Mapping[str, str] = {
    "a name of letters, digits, dots and dashes": r"[A-Za-z0-9][A-Za-z0-9._-]*",
    "a redis://, rediss:// or unix:// address, or empty": r"(rediss?|unix)://\S+|",
    "an http:// or https:// address, or empty": r"https?://\S+|",
    "one line of text": r"[^\r\n]*",
}
"""Forms of texts: in words, and as a regular expression that the whole text must match."""
NAME, REDIS_ADDRESS, HTTP_ADDRESS, LINE = FORMS


def _setting(
    default: Any,
    doc: str,
    *,
    least: float | None = None,
    most: float | None = None,
    under: str = "",
    form: str = "",
    secret: bool = False,
) -> Any:
    """One row of the table. least, most: bounds of a number; form: of a text, one of FORMS; under: the default is a
    folder in another setting's."""
    meta = {"doc": doc, "least": least, "most": most, "under": under, "form": form, "secret": secret}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=lambda: types.MappingProxyType(dict(default)), metadata=meta)
    return dataclasses.field(default=default, metadata=meta)


@dataclasses.dataclass(frozen=True)
class Settings:
    """The values of one run. Made by ``load``; a relative folder in the file is relative to the file's own folder."""

    # Folders
    OUTPUT_DIRECTORY: Path = _setting(Path("data"), "the archive: one folder per shard, one file per user and kind")
    TEMPORARY_DIRECTORY: Path = _setting(
        Path(".parts"), "parts of files in work; on the same file system as the archive", under="OUTPUT_DIRECTORY"
    )
    LOG_DIRECTORY: Path = _setting(Path(".logs"), "<role>-<name>.log of every process", under="OUTPUT_DIRECTORY")
    LOG_LEVEL: Level = _setting("info", "least severity that is logged")
    LOG_FILE_BYTES: int = _setting(10_000_000, "a log file is rotated at this size", least=10_000)
    LOG_FILES: int = _setting(5, "rotated log files that are kept of each process", least=1)

    # Redis
    REDIS_URL: str = _setting(
        "", "address of the server; empty: a private one is started", form=REDIS_ADDRESS, secret=True
    )
    REDIS_PASSWORD: str = _setting("", "password, where the address does not hold it", secret=True)
    SENTINELS: tuple[str, ...] = _setting((), "host:port of each Sentinel; used instead of REDIS_URL")
    SENTINEL_SERVICE: str = _setting("twittomatic", "name under which the Sentinels watch the server")
    NAMESPACE: str = _setting("main", "one deployment: its budgets and money are shared by all its crawls", form=NAME)

    # Crawl
    CRAWL: str = _setting("main", "name of the crawl", form=NAME)
    KINDS: tuple[Kind, ...] = _setting(("timeline", "follower", "analyzer"), "what is done with each user")
    TRAVERSING: Traversal = _setting("default", "default (found users go to the frontier file), bfs, dfs or priority")
    FRONTIER_NAME: str = _setting("frontier", "first part of the frontier file's name", form=NAME)
    MAX_USERS: int = _setting(0, "users that are admitted at most; 0: no limit", least=0)
    EXPECT: int = _setting(1_000_000, "ids that the seen set is laid out for", least=1)
    BUCKETS: int = _setting(0, "buckets of the seen set; 0: chosen from EXPECT", least=0)
    FOLLOW: Mapping[str, Any] = _setting({"protected": False}, "the policy: which found users are worth crawling")

    # Work
    WORKERS: int = _setting(2, "worker processes that crawl starts", least=0)
    THREADS: int = _setting(8, "jobs that one worker has in hand at once", least=1)
    LEASE_SECONDS: int = _setting(60, "a job whose worker is silent for so long is given to another", least=1)
    MAX_ATTEMPTS: int = _setting(5, "crashes without progress after which a job is dead", least=1)
    DRAIN_SECONDS: int = _setting(30, "how long a stop waits for the pages in hand", least=0)
    COMPRESSION: int = _setting(2, "gzip level: 1 to 3 by isal, 4 to 9 smaller and slower by far", least=1, most=9)

    # Network
    SOURCE: str = _setting("x_v2", "the network and dialect that users are read from")
    API_URL: str = _setting(
        "", "address of the API, of a mirror or of the emulator; empty: the network's own", form=HTTP_ADDRESS
    )
    DIALECT: Literal["tweet", "post"] = _setting("tweet", "names that are asked for: tweet.fields or post.fields")
    FIELDS: Mapping[str, Any] = _setting({}, "fields and expansions instead of all, by parameter")
    CREDENTIALS_FILE: Path = _setting(Path("credentials.toml"), "tokens by label; must be readable by its owner alone")
    CONTACT: str = _setting("", "address or page told in the User-Agent, for the network's operators", form=LINE)
    REQUEST_SECONDS: float = _setting(30.0, "an answer that stays away for so long is a timeout", least=0.1)

    # Money
    PRICES: Mapping[str, float] = _setting(
        {"post": 0.005, "user": 0.010, "follower": 0.010}, "dollars for one resource that is read"
    )
    PRICES_DATED: str = _setting("2026-11-21", "day on which these prices were read from the price list")

    origins: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False, compare=False)
    file: Path | None = dataclasses.field(default=None, repr=False, compare=False)

    def origin(self, name: str) -> str:
        """Where a value came from: ``default``, ``settings.py:12``, ``environment TWITTOMATIC_X`` or an option."""
        return self.origins.get(name, DEFAULT)

    def but(self, origin: str, **values: object) -> Settings:
        """The same with some values replaced; ``origin`` says by whom."""
        kept = {row.name: getattr(self, row.name) for row in rows() if self.origin(row.name) != DEFAULT}
        checked = {name: _checked(_row(name, origin), value, origin) for name, value in values.items()}
        return _settings({**kept, **checked}, {**self.origins, **dict.fromkeys(values, origin)}, self.file)

    def environment(self) -> dict[str, str]:
        """Variables that give a child process in the same working folder these same values."""
        changed = [row.name for row in rows() if self.origin(row.name) != DEFAULT]
        variables = {PREFIX + name: _spelled(getattr(self, name)) for name in changed}
        return {FILE_VARIABLE: str(self.file) if self.file else os.devnull, **variables}

    def shown(self, name: str) -> object:
        """The value as a person may see it: passwords are masked."""
        value = getattr(self, name)
        if not _ROWS[name].secret or not value:
            return value
        return mask_password(value) if "://" in value else HIDDEN

    def secrets(self) -> list[str]:
        """Every secret that the values hold, for the log's mask."""
        password = urlsplit(self.REDIS_URL).password
        return [text for text in (self.REDIS_PASSWORD, password) if text]


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One setting as the table declares it. type: as annotated; default: before any folder is put in front."""

    name: str
    type: Any
    default: object
    doc: str
    least: float | None
    most: float | None
    under: str
    form: str
    secret: bool


def _table() -> dict[str, Row]:
    hints = get_type_hints(Settings)
    table = {}
    for field in dataclasses.fields(Settings):
        if field.name.isupper():
            missing = field.default is dataclasses.MISSING
            default = field.default_factory() if missing and callable(field.default_factory) else field.default
            table[field.name] = Row(field.name, hints[field.name], default, **field.metadata)
    return table


_ROWS = _table()


def rows() -> tuple[Row, ...]:
    """Every setting in the order of the table."""
    return tuple(_ROWS.values())


def default_of(name: str) -> Any:
    """The default of a setting."""
    return _ROWS[name].default


def load(
    file: Path | str | None = None,
    options: Mapping[str, tuple[str, object]] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Defaults, then the file, then ``TWITTOMATIC_*``, then the command line.

    file: else ``TWITTOMATIC_SETTINGS``, else settings.py beside the package where there is one; options: name to
    (option as typed, value), None values are passed over; environment: of this process by default.
    """
    variables = os.environ if environment is None else environment
    path = _file(file, variables)
    values: dict[str, object] = {}
    origins: dict[str, str] = {}
    for name, value, origin in _from_file(path) if path else ():
        values[name], origins[name] = value, origin
    for name, text in _variables(variables).items():
        origin = f"environment {PREFIX}{name}"
        values[name] = _checked(_ROWS[name], _parsed(_ROWS[name], text, origin), origin)
        origins[name] = origin
    for name, (option, value) in (options or {}).items():
        if value is not None:
            values[name] = _checked(_row(name, option), value, option)
            origins[name] = option
    return _settings(values, origins, path)


def _settings(values: Mapping[str, Any], origins: Mapping[str, str], path: Path | None) -> Settings:
    """The defaults that lie in another setting's folder are put there."""
    bases = {row.name: values.get(row.under, _ROWS[row.under].default) for row in rows() if row.under}
    under = {name: Path(str(base), str(_ROWS[name].default)) for name, base in bases.items() if name not in values}
    return Settings(**{**values, **under}, origins=types.MappingProxyType(dict(origins)), file=path)


def mask_password(url: str) -> str:
    """A URL whose password is not shown."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return urlunsplit(parts._replace(netloc=f"{parts.username or ''}:{HIDDEN}@{parts.netloc.rpartition('@')[2]}"))


def _file(file: Path | str | None, variables: Mapping[str, str]) -> Path | None:
    named = str(file) if file else variables.get(FILE_VARIABLE, "")
    if named == os.devnull:
        return None
    if named:
        return Path(named).absolute()
    return CHECKOUT_FILE if CHECKOUT_FILE and CHECKOUT_FILE.is_file() else None


def _from_file(path: Path) -> Iterator[tuple[str, object, str]]:
    for assigned in read_settings(path):
        place = f"{path}:{assigned.line}"
        value = _checked(_row(assigned.name, place), assigned.value, place)
        shown = path.name if path == CHECKOUT_FILE else path
        yield assigned.name, path.parent / value if isinstance(value, Path) else value, f"{shown}:{assigned.line}"


def _row(name: str, place: str) -> Row:
    if name in _ROWS:
        return _ROWS[name]
    raise SettingsError(f"{place}: there is no setting {name}", _advice(name))


def _advice(name: str) -> str:
    near = nearest(name, _ROWS)
    return f"did you mean {near}?" if near else "`twittomatic settings` lists them all"


def _variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Settings among the variables. Other TWITTOMATIC_* names (tokens, test data) belong to other modules, but one
    that looks like a misspelt setting is refused."""
    found = {}
    for variable, text in variables.items():
        name = variable.removeprefix(PREFIX)
        if name == variable or variable == FILE_VARIABLE:
            continue
        if name in _ROWS:
            found[name] = text
        elif near := nearest(name, _ROWS):
            raise SettingsError(f"environment {variable}: there is no setting {name}", f"did you mean {PREFIX}{near}?")
    return found


_EXPECTED = {str: "text", int: "a whole number", float: "a number", bool: "True or False", Path: "a path"}


def expected(row: Row) -> str:
    """The type of a setting in words."""
    origin = get_origin(row.type)
    if origin is Literal:
        return "one of " + ", ".join(get_args(row.type))
    if origin is tuple:
        choices = get_args(get_args(row.type)[0])
        return "a list of one or more of " + ", ".join(choices) if choices else "a list of texts"
    if origin is not None:
        return "a table of numbers, none negative" if get_args(row.type)[1] is float else "a table"
    bounds = [f"at least {row.least:g}" if row.least is not None else "", f"at most {row.most:g}" if row.most else ""]
    return ", ".join([row.form or _EXPECTED[row.type], *filter(None, bounds)])


def _refused(row: Row, value: object, place: str) -> SettingsError:
    shown = HIDDEN if row.secret else repr(value)
    near = nearest(value, get_args(row.type)) if isinstance(value, str) and get_origin(row.type) is Literal else None
    mend = f"{row.name}: {row.doc}" + (f"; did you mean {near}?" if near else "")
    return SettingsError(f"{place}: {row.name} must be {expected(row)}, not {shown}", mend)


def _checked(row: Row, value: object, place: str) -> object:
    """The value in the setting's own type, or SettingsError with the expected type, the value and the place."""
    origin, args = get_origin(row.type), get_args(row.type)
    if origin is Literal and value in args:
        return value
    if origin is tuple and isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        choices = get_args(args[0])
        if not choices or (value and all(item in choices for item in value)):
            return tuple(value)
    if origin not in (None, Literal, tuple) and isinstance(value, Mapping):
        numbers = all(
            isinstance(item, int | float) and not isinstance(item, bool) and item >= 0 for item in value.values()
        )
        if all(isinstance(key, str) for key in value) and (args[1] is not float or numbers):
            return types.MappingProxyType(dict(value))
    if row.type is Path and isinstance(value, str | Path) and str(value):
        return Path(value).expanduser()
    if row.type is bool and isinstance(value, bool):
        return value
    if row.type is str and isinstance(value, str) and (not row.form or re.fullmatch(FORMS[row.form], value)):
        return value
    if row.type in (int, float) and isinstance(value, int | row.type) and not isinstance(value, bool):
        number = row.type(value)
        if (row.least is None or number >= row.least) and (row.most is None or number <= row.most):
            return number
    raise _refused(row, value, place)


_SWITCH = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(("0", "false", "no", "off", ""), False)


def _parsed(row: Row, text: str, place: str) -> object:
    """What a variable's text means: lists by commas, tables as JSON, switches as 1/0, true/false, yes/no, on/off."""
    try:
        if row.type is bool:
            return _SWITCH[text.strip().lower()]
        if row.type in (int, float):
            return row.type(text)
        if get_origin(row.type) is tuple:
            return [item.strip() for item in text.split(",") if item.strip()]
        if get_origin(row.type) not in (None, Literal):
            return ujson.loads(text)
    except (ValueError, KeyError):
        raise _refused(row, text, place) from None
    return text


def _spelled(value: object) -> str:
    """A value as ``_parsed`` reads it."""
    if isinstance(value, Path):
        return str(value.absolute())
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, Mapping):
        return ujson.dumps(dict(value), escape_forward_slashes=False)
    return str(value)
