"""What a person is told exists, and what exists a person is told."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from twittomatic import cli, config

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def readme() -> str:
    return (CHECKOUT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_is_in_the_readme(readme: str, name: str) -> None:
    assert f"twittomatic {name}" in readme


@pytest.mark.parametrize("row", config.rows(), ids=lambda row: row.name)
def test_every_setting_is_in_the_readme(readme: str, row: config.Row) -> None:
    assert f"`{row.name}`" in readme


@pytest.mark.parametrize("path", sorted((CHECKOUT / "bin").iterdir()), ids=lambda path: path.name)
def test_every_script_is_in_the_readme_and_can_be_run(readme: str, path: Path) -> None:
    assert f"bin/{path.name}" in readme
    assert path.stat().st_mode & 0o111


def test_the_readme_names_no_setting_that_is_not_there(readme: str) -> None:
    known = {row.name for row in config.rows()}
    told = set(re.findall(r"TWITTOMATIC_([A-Z_]{3,})\b", readme))
    others = {"SETTINGS", "TEST_DATA", "REDIS_SERVER", "BEARER", "BEARER_", "OAUTH1_", "FAULT"}
    assert told <= known | others


def commented() -> list[str]:
    text = (CHECKOUT / "settings.py").read_text(encoding="utf-8")
    return re.findall(r"^# ([A-Z_]+ = .*)$", text, re.MULTILINE)


def test_the_settings_file_changes_nothing_as_it_comes() -> None:
    settings = config.load(CHECKOUT / "settings.py", environment={})
    assert dict(settings.origins) == {}


def test_the_settings_file_shows_settings_as_they_are(tmp_path: Path) -> None:
    """Each line holds when it is uncommented, and it shows the default unless that is empty."""
    path = tmp_path / "settings.py"
    path.write_text("\n".join(commented()), encoding="utf-8")
    shown, plain = config.load(path, environment={}), config.load(environment={})
    assert len(shown.origins) == len(commented()) > 15
    for name in shown.origins:
        default = getattr(plain, name)
        value = getattr(shown, name)
        if isinstance(default, Path):
            assert value == tmp_path / ast.literal_eval(repr(str(default)))
        else:
            assert not default or value == default


def test_what_is_made_by_installing_is_ignored_by_git() -> None:
    ignored = (CHECKOUT / ".gitignore").read_text(encoding="utf-8").split()
    assert {"/.venv/", "*.egg-info/", "/data/", "/credentials*.toml"} <= set(ignored)
