"""bin/setup and bin/twittomatic with a stand-in for Python: what they install when, what they say when they cannot."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]

STAND_IN = """\
    #!/bin/sh
    # -c CODE runs in the real Python; -m venv makes copies of this file; -m pip writes down what it was asked for.
    case "$1 $2" in
    "-m venv")
        mkdir -p "$3/bin" "$3/lib" && cp "$0" "$3/bin/python"
        echo "command = $0 -m venv $3" >"$3/pyvenv.cfg" ;;
    "-m pip")
        echo "$*" >>"$PIP_DIARY"
        case "$PIP_FATE" in killed) kill -9 $PPID ;; failed) exit 1 ;; esac ;;
    "-P -m") shift 3; echo "called with: $*" ;;
    *) exec REAL "$@" ;;
    esac
"""

TOOLS = ("bash", "cat", "cksum", "cp", "dirname", "grep", "mkdir", "mv", "readlink", "rm", "sed", "sh", "sort", "tr")


class Place:
    """A checkout of its own with a PATH of its own."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a checkout"
        self.path = folder / "path"
        self.diary = folder / "diary"
        self.path.mkdir(parents=True)
        shutil.copytree(CHECKOUT / "bin", self.root / "bin")
        for name in ("setup.cfg", "pyproject.toml"):
            shutil.copy(CHECKOUT / name, self.root / name)
        for name in TOOLS:
            (self.path / name).symlink_to(str(shutil.which(name)))

    def program(self, name: str, text: str) -> None:
        path = self.path / name
        path.write_text(textwrap.dedent(text).replace("REAL", sys.executable))
        path.chmod(0o755)

    def run(self, *command: str, fate: str = "", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(self.path), "PIP_DIARY": str(self.diary), "PIP_FATE": fate}
        return subprocess.run(
            [self.root / "bin" / command[0], *command[1:]], env=environment, cwd=cwd, capture_output=True, text=True
        )

    def asked(self) -> list[str]:
        """What pip was asked to install, in order."""
        if not self.diary.exists():
            return []
        lines = [line for line in self.diary.read_text().splitlines() if "install" in line]
        return [line.partition("--editable ")[2].removeprefix(str(self.root)) for line in lines]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.program("python3.11", STAND_IN)
    return place


def test_the_first_call_installs_and_the_second_asks_nothing(place: Place, tmp_path: Path) -> None:
    first = place.run("twittomatic", "crawl", "a b", cwd=tmp_path)
    assert first.returncode == 0
    assert first.stdout == "called with: twittomatic crawl a b\n".replace("twittomatic ", "", 1)
    assert "first start: making .venv and installing what is needed, about a minute" in first.stderr
    second = place.run("twittomatic", "crawl", cwd=tmp_path)
    assert (second.stdout, second.stderr) == ("called with: crawl\n", "")
    assert place.asked() == [""]


def test_it_works_through_links(place: Place, tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to(place.root / "bin" / "twittomatic")
    os.symlink("one", tmp_path / "two")
    result = subprocess.run(
        [tmp_path / "two", "settings"],
        env={"PATH": str(place.path), "PIP_DIARY": str(place.diary), "PIP_FATE": ""},
        capture_output=True,
        text=True,
    )
    assert result.stdout == "called with: settings\n", result.stderr


def test_extras_are_added_once_and_kept(place: Place) -> None:
    assert place.run("setup", "--if-needed").returncode == 0
    place.run("setup", "--if-needed", "test")
    place.run("setup", "--if-needed", "test")
    place.run("setup", "--if-needed", "check", "test")
    place.run("setup", "--if-needed")
    assert place.asked() == ["", "[test]", "[check,test]"]


def test_a_changed_list_of_dependencies_is_installed(place: Place) -> None:
    place.run("setup", "--if-needed", "test")
    with (place.root / "setup.cfg").open("a") as file:
        file.write("# changed\n")
    result = place.run("twittomatic", "--version")
    assert "installing into .venv what has changed (with: test)" in result.stderr
    assert place.asked() == ["[test]", "[test]"]


def test_an_interrupted_installation_begins_anew(place: Place) -> None:
    assert place.run("twittomatic", fate="killed").returncode != 0
    half = place.root / ".venv" / "lib" / "half"
    half.write_text("a package that was cut off")
    result = place.run("twittomatic", "crawl")
    assert result.stdout == "called with: crawl\n"
    assert "first start" in result.stderr
    assert not half.exists()


def test_a_failed_installation_says_so_and_is_tried_again(place: Place) -> None:
    failed = place.run("twittomatic", "crawl", fate="failed")
    assert failed.returncode == 1
    assert "error: the installation did not end well" in failed.stderr
    assert place.run("twittomatic", "crawl").stdout == "called with: crawl\n"


def test_a_failed_extra_leaves_what_was_there(place: Place) -> None:
    place.run("setup")
    assert place.run("setup", "--if-needed", "test", fate="failed").returncode == 1
    result = place.run("twittomatic", "crawl")
    assert (result.stdout, result.stderr) == ("called with: crawl\n", "")


def test_a_checkout_that_was_moved_is_installed_anew(place: Place) -> None:
    place.run("setup")
    place.root = place.root.rename(place.root.with_name("moved"))
    assert "first start" in place.run("twittomatic", "crawl").stderr


def test_two_first_starts_install_once(place: Place) -> None:
    environment = {"PATH": str(place.path), "PIP_DIARY": str(place.diary), "PIP_FATE": ""}
    both = [
        subprocess.Popen(
            [place.root / "bin" / "twittomatic"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    assert [process.communicate(timeout=60)[0] for process in both] == [b"called with: \n"] * 2
    assert place.asked() == [""]


@pytest.mark.parametrize(
    ("pythons", "words"),
    [
        ({}, "no Python 3.11 or newer was found (no python3 at all)"),
        ({"python3": "#!/bin/sh\necho 3.9.2; exit 1\n"}, "no Python 3.11 or newer was found (python3 is 3.9.2)"),
        (
            {"python3.12": '#!/bin/sh\ncase "$2" in *venv*) exit 1;; esac\necho 3.12.1\n'},
            "Python 3.12.1 is here, but its venv module is not\n  on Debian or Ubuntu: apt-get install python3.12-venv",
        ),
    ],
)
def test_a_missing_python_is_named(place: Place, pythons: dict[str, str], words: str) -> None:
    (place.path / "python3.11").unlink()
    for name, text in pythons.items():
        place.program(name, text)
    result = place.run("twittomatic", "crawl")
    assert result.returncode == 1
    assert words in result.stderr
    assert result.stdout == ""
