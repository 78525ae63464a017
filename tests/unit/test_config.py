"""Settings: where values come from, what is refused, and how that is said."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from twittomatic import config
from twittomatic.errors import SettingsError


@pytest.fixture
def written(tmp_path: Path):
    """A settings file with these lines."""

    def write(*lines: str) -> Path:
        path = tmp_path / "deployment" / "settings.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


def refusal(file: Path | None = None, options=None, environment=None) -> str:
    with pytest.raises(SettingsError) as caught:
        config.load(file, options, environment or {})
    return str(caught.value)


def test_each_layer_wins_over_the_one_before(written) -> None:
    path = written("WORKERS = 3", "THREADS = 3", "EXPECT = 3", "NAMESPACE = 'file'")
    settings = config.load(
        path,
        {"EXPECT": ("--expect", 5), "MAX_USERS": ("--max-users", None)},
        {"TWITTOMATIC_THREADS": "4", "TWITTOMATIC_EXPECT": "4"},
    )
    assert (settings.LEASE_SECONDS, settings.WORKERS, settings.THREADS, settings.EXPECT) == (60, 3, 4, 5)
    assert settings.origin("LEASE_SECONDS") == "default"
    assert settings.origin("WORKERS") == f"{path}:1"
    assert settings.origin("THREADS") == "environment TWITTOMATIC_THREADS"
    assert settings.origin("EXPECT") == "--expect"
    assert settings.origin("MAX_USERS") == "default"


def test_the_file_is_named_by_the_environment(written) -> None:
    path = written("CRAWL = 'named'")
    settings = config.load(environment={"TWITTOMATIC_SETTINGS": str(path)})
    assert (settings.CRAWL, settings.file) == ("named", path)


def test_a_settings_object_cannot_be_changed() -> None:
    settings = config.load(environment={})
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.WORKERS = 7  # type: ignore[misc]
    with pytest.raises(TypeError):
        settings.PRICES["post"] = 0.0  # type: ignore[index]


@pytest.mark.parametrize("row", config.rows(), ids=lambda row: row.name)
def test_every_default_is_of_its_own_type_and_documented(row: config.Row) -> None:
    given = dict(row.default) if hasattr(row.default, "keys") else row.default
    assert getattr(config.load(options={row.name: ("here", given)}, environment={}), row.name) == row.default
    assert len(row.doc) > 15


def test_an_unknown_name_is_refused_with_the_nearest_one(written) -> None:
    path = written("WORKERS = 1", "LEASE_SECOND = 5")
    message = refusal(path)
    assert f"{path}:2: there is no setting LEASE_SECOND" in message
    assert "did you mean LEASE_SECONDS?" in message


def test_an_unknown_name_without_a_near_one_points_at_the_list(written) -> None:
    assert "`twittomatic settings` lists them all" in refusal(written("ZEBRA = 5"))


def test_a_misspelt_variable_is_refused_but_those_of_others_are_not() -> None:
    assert "did you mean TWITTOMATIC_WORKERS?" in refusal(environment={"TWITTOMATIC_WORKER": "1"})
    others = {"TWITTOMATIC_BEARER": "x", "TWITTOMATIC_TEST_DATA": "x", "TWITTOMATIC_REDIS_SERVER": "x"}
    assert config.load(environment=others).WORKERS == 2


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("WORKERS = 'two'", "WORKERS must be a whole number, at least 0, not 'two'"),
        ("WORKERS = -1", "WORKERS must be a whole number, at least 0, not -1"),
        ("WORKERS = True", "WORKERS must be a whole number, at least 0, not True"),
        ("WORKERS = 1.5", "not 1.5"),
        ("COMPRESSION = 10", "COMPRESSION must be a whole number, at least 1, at most 9, not 10"),
        ("SENTINELS = 'a:1'", "SENTINELS must be a list of texts, not 'a:1'"),
        ("SENTINELS = [1]", "SENTINELS must be a list of texts, not [1]"),
        ("TRAVERSING = 'bsf'", "TRAVERSING must be one of default, bfs, dfs, priority, not 'bsf'"),
        ("PRICES = {'post': 'cheap'}", "PRICES must be a table of numbers"),
        ("FOLLOW = [1]", "FOLLOW must be a table, not [1]"),
        ("SOURCE = 5", "SOURCE must be text, not 5"),
        ("NAMESPACE = 'a{b}'", "NAMESPACE must be a name of letters, digits, dots and dashes, not 'a{b}'"),
        ("CRAWL = '../x'", "CRAWL must be a name of letters, digits, dots and dashes, not '../x'"),
        ("API_URL = 'api.example.org'", "API_URL must be an http:// or https:// address, or empty"),
        (
            "REDIS_URL = 'localhost:6379'",
            "REDIS_URL must be a redis://, rediss:// or unix:// address, or empty, not ***",
        ),
        ("CONTACT = 'a\\nb'", "CONTACT must be one line of text"),
        ("OUTPUT_DIRECTORY = ''", "OUTPUT_DIRECTORY must be a path, not ''"),
    ],
)
def test_a_wrong_type_is_refused_with_the_expected_one_the_value_and_the_line(
    written, line: str, expected: str
) -> None:
    path = written("", line)
    message = refusal(path)
    assert f"{path}:2: " in message
    assert expected in message


def test_a_near_choice_is_named(written) -> None:
    assert "did you mean default?" in refusal(written("TRAVERSING = 'defualt'"))


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("LOG_FILE_BYTES = 10 * 1024 * 1024", 10 * 1024 * 1024),
        ("LEASE_SECONDS = 60 + 2 * 5 - 1", 69),
        ("EXPECT = 3_000_000_000", 3_000_000_000),
        ("REQUEST_SECONDS = 5", 5.0),
        ("REQUEST_SECONDS = 1 / 2", 0.5),
        ("SENTINELS = ('a:1', 'b:2')", ("a:1", "b:2")),
        ("FOLLOW = {'languages': ['de', 'en'], 'protected': None}", {"languages": ["de", "en"], "protected": None}),
        ("CONTACT: str = 'a' 'b'", "ab"),
    ],
)
def test_values_of_a_file(written, line: str, value: object) -> None:
    settings = config.load(written(line), environment={})
    assert getattr(settings, line.partition(" ")[0].rstrip(":")) == value


def test_a_name_that_was_set_further_up_can_be_used(written) -> None:
    assert config.load(written("WORKERS = 3", "THREADS = WORKERS * 2"), environment={}).THREADS == 6


@pytest.mark.parametrize(
    "line",
    [
        "import os",
        "CONTACT = open('/etc/passwd').read()",
        "CONTACT = __import__('os').environ['HOME']",
        "WORKERS = 5 if True else 6",
        "SENTINELS = [x for x in 'ab']",
        "WORKERS = THREADS",
        "WORKERS = 1 / 0",
        "CONTACT = 'a' * 10**9",
        "for WORKERS in (1, 2): pass",
    ],
)
def test_a_file_is_data_and_is_never_executed(written, line: str) -> None:
    path = written("# a comment", line)
    message = refusal(path)
    assert f"{path}:2: " in message
    assert "is more than a value" in message


def test_lower_case_and_doubles_and_syntax_are_refused_with_the_line(written) -> None:
    assert ":1: `workers` is not a name in UPPERCASE" in refusal(written("workers = 1"))
    assert ":2: WORKERS is set a second time" in refusal(written("WORKERS = 1", "WORKERS = 2"))
    assert ":2: " in refusal(written("", "WORKERS = = 2"))
    assert "No such file" in refusal(Path("/nowhere/settings.py"))


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("WORKERS", "3", 3),
        ("REQUEST_SECONDS", "2.5", 2.5),
        ("SENTINELS", "a:1, b:2,", ("a:1", "b:2")),
        ("SENTINELS", "", ()),
        ("FOLLOW", '{"protected": true}', {"protected": True}),
        ("PRICES", '{"post": 1}', {"post": 1}),
        ("TRAVERSING", "bfs", "bfs"),
        ("CONTACT", "a,b=c", "a,b=c"),
    ],
)
def test_values_of_the_environment(name: str, text: str, value: object) -> None:
    assert getattr(config.load(environment={f"TWITTOMATIC_{name}": text}), name) == value


@pytest.mark.parametrize(("name", "text"), [("WORKERS", "many"), ("FOLLOW", "{"), ("PRICES", "[1]"), ("WORKERS", "")])
def test_a_bad_value_of_the_environment_names_the_variable(name: str, text: str) -> None:
    assert f"environment TWITTOMATIC_{name}: {name} must be" in refusal(environment={f"TWITTOMATIC_{name}": text})


def test_relative_folders_of_a_file_are_relative_to_it(written) -> None:
    path = written("OUTPUT_DIRECTORY = 'out'", "CREDENTIALS_FILE = '/etc/tokens'")
    settings = config.load(path, environment={})
    assert settings.OUTPUT_DIRECTORY == path.parent / "out"
    assert settings.TEMPORARY_DIRECTORY == path.parent / "out" / ".parts"
    assert settings.LOG_DIRECTORY == path.parent / "out" / ".logs"
    assert Path("/etc/tokens") == settings.CREDENTIALS_FILE


def test_folders_follow_the_output_unless_they_are_set() -> None:
    settings = config.load(
        options={"OUTPUT_DIRECTORY": ("--output", "x"), "LOG_DIRECTORY": ("--log", "y")}, environment={}
    )
    moved = settings.but("here", OUTPUT_DIRECTORY=Path("z"))
    assert (moved.TEMPORARY_DIRECTORY, moved.LOG_DIRECTORY) == (Path("z/.parts"), Path("y"))
    assert moved.origin("OUTPUT_DIRECTORY") == "here"
    assert moved.origin("LOG_DIRECTORY") == "--log"


def test_replaced_values_are_checked_too() -> None:
    with pytest.raises(SettingsError, match="here: WORKERS must be a whole number"):
        config.load(environment={}).but("here", WORKERS="x")


def test_a_child_process_sees_the_same_values(written) -> None:
    options = {
        "SENTINELS": ("--x", ["a:1", "b:2"]),
        "FOLLOW": ("--x", {"protected": True, "text": "a/b"}),
        "REQUEST_SECONDS": ("--x", 1.5),
        "OUTPUT_DIRECTORY": ("--output", "relative"),
    }
    settings = config.load(written("THREADS = 5", "CONTACT = 'äöü'"), options, {"TWITTOMATIC_WORKERS": "0"})
    child = config.load(environment=settings.environment())
    for row in config.rows():
        mine = getattr(settings, row.name)
        assert getattr(child, row.name) == (
            mine.absolute() if isinstance(mine, Path) and mine.parts[0] == "relative" else mine
        )
    assert child.file == settings.file


def test_passwords_are_not_shown() -> None:
    values = {"TWITTOMATIC_REDIS_URL": "rediss://joe:s3cret@h:1/0", "TWITTOMATIC_REDIS_PASSWORD": "other"}
    settings = config.load(environment=values)
    assert settings.shown("REDIS_URL") == "rediss://joe:********@h:1/0"
    assert settings.shown("REDIS_PASSWORD") == "********"
    assert settings.shown("NAMESPACE") == "main"
    assert sorted(settings.secrets()) == ["other", "s3cret"]
    assert "s3cret" not in refusal(options={"REDIS_PASSWORD": ("--x", ["s3cret"])})
