"""What every command owes to the person or the program that calls it; and that no secret is told to anybody."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.e2e.programs import Machine, Twin, wait_for
from twittomatic.cli import COMMANDS

BEARER = "AAAAAAAAbearer-of-the-test-7731"
OAUTH1 = {
    "consumer_key": "ckey-of-the-test-1221",
    "consumer_secret": "csecret-of-the-test-9182",
    "token": "12-token-of-the-test-5512",
    "token_secret": "tsecret-of-the-test-3391",
}


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS), ["archive", "cat"]], ids=" ".join)
def test_help_is_given(machine: Machine, words: list[str]) -> None:
    ended = machine.run(*words, "--help")
    assert ended.status == 0
    assert "Usage" in ended.out
    assert ended.err == ""
    if not words:
        assert all(name in ended.out for name in COMMANDS)


def test_an_unknown_command_and_an_unknown_option_are_refused(machine: Machine) -> None:
    ended = machine.run("crwl")
    assert ended.status == 2
    assert "crawl" in ended.err
    assert machine.run("crawl", "--workerz", "3").status == 2
    assert machine.run("crawl", "--traversal", "sideways").status == 2


@pytest.mark.parametrize("words", [["settings"], ["doctor"]], ids=" ".join)
def test_json_is_one_document(machine: Machine, words: list[str]) -> None:
    ended = machine.run(*words, "--json")
    assert isinstance(json.loads(ended.out), dict)


def test_archive_cat_gives_the_lines_as_they_are(keyed: Machine, ring: Path, talk: Path, seeds: Path) -> None:
    twin = keyed.twin("--graph", ring, "--tweets", talk)
    keyed.run(*keyed.crawl(twin, seeds, "-T", "-F")).document  # noqa: B018 - a status other than 0 fails
    plain = keyed.run("archive", "cat", keyed.output, "0").out.split("\n")[:-1]
    known = twin.user("0")
    assert known is not None
    assert [json.loads(line)["id"] for line in plain] == known["tweets"]
    whole = keyed.run("archive", "cat", keyed.output, "0", "--kind", "follower", "--json").document
    assert sorted(map(str, whole["lines"])) == sorted(known["followers"])
    assert whole["end"]["end"] == "complete"
    chosen = keyed.run("archive", "cat", keyed.output, "0", "--select", "id,public_metrics.like_count").out
    assert chosen.count("\n") == len(plain)
    for words in (["999"], ["@ada"]):
        refused = keyed.run("archive", "cat", keyed.output, *words)
        assert refused.status == 2
        assert refused.out == ""
        assert "Traceback" not in refused.err


def write_credentials(machine: Machine, mode: int) -> Path:
    path = machine.home / "credentials.toml"
    rows = "\n".join(f'{name} = "{value}"' for name, value in OAUTH1.items())
    path.write_text(f'[app]\nbearer = "{BEARER}"\n[ada]\n{rows}\n')
    path.chmod(mode)
    return path


def test_credentials_that_others_can_read_are_refused(machine: Machine, ring: Path, talk: Path, seeds: Path) -> None:
    twin = machine.twin("--graph", ring, "--tweets", talk)
    path = write_credentials(machine, 0o644)
    ended = machine.run(*machine.crawl(twin, seeds, "-T"))
    assert ended.status == 2
    assert "chmod 600" in ended.err
    assert "mode 644" in ended.err
    assert twin.total == 0
    path.chmod(0o600)
    assert machine.run(*machine.crawl(twin, seeds, "-T")).document["users"]["done"] == 5


def test_a_remote_network_is_not_asked_without_credentials(machine: Machine, seeds: Path) -> None:
    ended = machine.run("crawl", seeds, "-T", "--api-url", "http://api.example.invalid", "--output", machine.output)
    assert ended.status == 2
    assert "credentials" in ended.err


def seen_from_outside(machine: Machine, twin: Twin, seeds: Path) -> list[bytes]:
    """Command lines of a crawl's processes while it runs, all that it said, and every log that it wrote."""
    program = machine.start(
        *machine.crawl(twin, seeds, "-T", "-F", "-A", "--traversal", "bfs"), LOG_LEVEL="debug", REQUEST_SECONDS="5"
    )
    wait_for(lambda: twin.total > 60, program, "some requests")
    pids = [program.pid, *(process.pid for process in program.children())]
    assert len(pids) >= 5
    seen = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids]
    ended = program.wait()
    assert ended.document["users"]["done"] == 120
    seen += [ended.out.encode(), ended.err.encode()]
    return seen + [path.read_bytes() for path in (machine.output / ".logs").iterdir()]


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="the command lines of processes are read in /proc")
def test_no_secret_is_told(machine: Machine, ring: Path, talk: Path, hesitant: Path, seeds: Path) -> None:
    write_credentials(machine, 0o600)
    twin = machine.twin("--graph", ring, "--tweets", talk, "--faults", hesitant)
    seen = seen_from_outside(machine, twin, seeds)
    password = json.loads((machine.output / ".redis" / "server.json").read_text())["password"]
    for command in (["settings", "--json"], ["settings"], ["doctor", "--json"]):
        ended = machine.run(*command, OUTPUT_DIRECTORY=str(machine.output))
        seen += [ended.out.encode(), ended.err.encode()]
    told = [secret for secret in (BEARER, *OAUTH1.values(), password) if any(secret.encode() in text for text in seen)]
    assert told == []
    kept = subprocess.run(["grep", "-rlaF", *(f"-e{secret}" for secret in OAUTH1.values()), f"-e{BEARER}",
                           machine.output], capture_output=True, text=True, check=False)  # fmt: skip
    assert kept.stdout == "", "no file of the output folder holds a secret"
