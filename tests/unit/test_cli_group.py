"""The command: its list, what it says to mistakes, and what it prints for programs."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import rich_click as click
from click.testing import CliRunner

from twittomatic import __version__, cli, config
from twittomatic.errors import InUse, StateUnavailable


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Call the command in an empty folder, with no settings file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(config, "CHECKOUT_FILE", tmp_path / "settings.py")
    runner = CliRunner()
    return lambda *arguments: runner.invoke(cli.main, list(arguments))


def test_help_lists_every_command_with_its_summary(run) -> None:
    output = run("--help").output
    for name, entry in cli.COMMANDS.items():
        assert f" {name} " in output
        assert entry.summary[:30] in output


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_of_the_list_is_there(run, name: str) -> None:
    command = cli.load_command(name)
    assert isinstance(command, click.Command)
    assert command.name == name
    assert run(name, "--help").exit_code == 0


def test_the_list_imports_no_command() -> None:
    code = (
        "import sys; from twittomatic.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(*sorted(n for n in sys.modules if n.startswith(('twittomatic.', 'redis', 'aiohttp', 'requests'))))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    loaded = output.splitlines()[-1].split()
    assert loaded == ["twittomatic.cli", "twittomatic.config", "twittomatic.errors", "twittomatic.settings_file"]


@pytest.mark.serial
def test_help_comes_at_once() -> None:
    """Seconds of the processor, not of the clock: what else runs on the machine is not our doing."""

    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "twittomatic", "--help"], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(5)) < 0.3


def test_version(run) -> None:
    assert run("--version").output.strip() == f"twittomatic, version {__version__}"


def test_an_unknown_command_names_the_nearest(run) -> None:
    result = run("setings")
    assert result.exit_code == 2
    assert "There is no command setings. Did you mean settings?" in result.stderr


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (
            InUse("data is in use: held by pid 1", "wait for it"),
            2,
            "Error: data is in use: held by pid 1\n  wait for it\n",
        ),
        (StateUnavailable("Redis is away"), 3, "Error: Redis is away\n"),
    ],
)
def test_our_errors_are_a_message_a_mend_and_a_status(run, monkeypatch, error, status: int, words: str) -> None:
    @click.command()
    def failing() -> None:
        raise error

    monkeypatch.setattr(cli, "load_command", lambda _name: failing)
    result = run("settings")
    assert (result.exit_code, result.stderr, result.stdout) == (status, words, "")


def test_settings_json_is_one_document(run, monkeypatch) -> None:
    monkeypatch.setenv("TWITTOMATIC_WORKERS", "7")
    monkeypatch.setenv("TWITTOMATIC_REDIS_URL", "redis://:s3cret@h/0")
    result = run("settings", "--json")
    document = json.loads(result.stdout)
    assert list(document) == [row.name for row in config.rows()]
    assert document["WORKERS"]["value"] == 7
    assert document["WORKERS"]["origin"] == "environment TWITTOMATIC_WORKERS"
    assert document["FOLLOW"]["value"] == {"protected": False}
    assert "s3cret" not in result.output


def test_settings_as_lines(run, tmp_path: Path) -> None:
    (tmp_path / "settings.py").write_text("WORKERS = 4\n")
    lines = [line.split("\t") for line in run("settings").stdout.splitlines()]
    assert ["WORKERS", "4", "settings.py:1"] in lines
    assert len(lines) == len(config.rows())


def test_settings_file_of_the_option(run, tmp_path: Path) -> None:
    other = tmp_path / "other.py"
    other.write_text("WORKRS = 4\n")
    result = run("--settings", str(other), "settings")
    assert result.exit_code == 2
    assert result.stderr == f"Error: {other}:1: there is no setting WORKRS\n  did you mean WORKERS?\n"
