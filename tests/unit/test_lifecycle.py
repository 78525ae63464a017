"""How processes stop: signals, a parent that dies, children that end, and one process in a folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from twittomatic.children import Child, stop_all
from twittomatic.errors import InUse, UserError
from twittomatic.lifecycle import FolderLock, Stopper, has_parent, is_alive, process_started

CHECKOUT = Path(__file__).resolve().parents[2]

WAITING = """
    import os, sys
    from pathlib import Path
    from twittomatic.lifecycle import Stopper, end_with_parent
    told = Path(sys.argv[1])
    with Stopper() as stopper:
        end_with_parent(stopper, grace_seconds=20)
        told.with_suffix(".pid").write_text(str(os.getpid()))
        while not stopper.wait(60):
            pass
        told.write_text(stopper.reason)
"""


def script(tmp_path: Path, name: str, code: str) -> str:
    path = tmp_path / name
    path.write_text(textwrap.dedent(code))
    return str(path)


def python(*arguments: str, **options) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    return subprocess.Popen([sys.executable, *arguments], env=environment, **options)


def waiting_child(tmp_path: Path, told: Path) -> Child:
    child = Child([], "waiting child")
    child.command = [sys.executable, script(tmp_path, "waiting.py", WAITING), str(told)]
    return child


def pid_in(path: Path, wait_until) -> int:
    wait_until(lambda: path.exists() and path.read_text().strip(), 15, f"a pid in {path.name}")
    return int(path.read_text())


# Stopper


def test_the_first_signal_asks_and_says_which() -> None:
    called: list[str] = []
    with Stopper() as stopper:
        stopper.call(lambda: called.append("callback"))
        os.kill(os.getpid(), signal.SIGTERM)
        assert stopper.wait(5)
        stopper.call(lambda: called.append("late"))
    assert stopper.reason == "received SIGTERM"
    assert stopper.exit_status == 143
    assert called == ["callback", "late"]


def test_the_signals_are_given_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with Stopper():
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_closed_terminal_asks_however_often_it_is_said() -> None:
    with Stopper() as stopper:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGHUP)
        assert stopper.wait(5)
        assert stopper.exit_status == 129


def test_nohup_is_respected() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Stopper() as stopper:
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            assert not stopper.stopping
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_request_from_within_keeps_the_first_reason() -> None:
    stopper = Stopper()
    stopper.request("done")
    stopper.request("later")
    assert (stopper.stopping, stopper.reason, stopper.exit_status) == (True, "done", 0)


def test_the_second_signal_exits_at_once(tmp_path: Path, wait_until) -> None:
    code = """
        import sys, threading
        from pathlib import Path
        from twittomatic.lifecycle import Stopper
        with Stopper() as stopper:
            Path(sys.argv[1]).write_text("ready")
            stopper.event.wait()
            Path(sys.argv[1]).write_text("stopping")
            threading.Event().wait()
    """
    told = tmp_path / "told"
    process = python(script(tmp_path, "stubborn.py", code), str(told))
    try:
        wait_until(lambda: told.exists() and told.read_text() == "ready", 15, "the process stands")
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: told.read_text() == "stopping", 5, "the first signal is heard")
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 130
    finally:
        process.kill()
        process.wait()


# The parent's death

PARENT = """
    import sys, threading
    from twittomatic.children import Child
    child = Child([], "child", program={program})
    child.command = sys.argv[2:]
    def start():
        child.start()
        open(sys.argv[1], "w").write(str(child.pid))
    {start}
    threading.Event().wait()
"""
IN_MAIN = "start()"
IN_THREAD = "thread = threading.Thread(target=start); thread.start(); thread.join()"


@pytest.mark.parametrize("start", [IN_MAIN, IN_THREAD], ids=["started by the main thread", "by one that ended"])
def test_our_children_stop_when_the_parent_is_killed(tmp_path: Path, wait_until, start: str) -> None:
    told = tmp_path / "told"
    waiting = script(tmp_path, "waiting.py", WAITING)
    parent = python(
        script(tmp_path, "parent.py", PARENT.format(program=False, start=start)),
        str(tmp_path / "started"),
        *(sys.executable, waiting, str(told)),
    )
    child = pid_in(told.with_suffix(".pid"), wait_until)
    assert process_started(child) is not None
    assert not told.exists(), "it lives as long as the parent does"
    parent.kill()
    parent.wait()
    wait_until(told.exists, 10, "the child heard of the parent's death")
    wait_until(lambda: process_started(child) is None, 10, "the child is gone")
    assert told.read_text() == f"the parent process {parent.pid} is gone"


@pytest.mark.parametrize("start", [IN_MAIN, IN_THREAD], ids=["by the kernel", "by the guard"])
def test_other_programs_end_when_the_parent_is_killed(tmp_path: Path, wait_until, start: str) -> None:
    parent = python(
        script(tmp_path, "parent.py", PARENT.format(program=True, start=start)), str(tmp_path / "pid"), "sleep", "1000"
    )
    child = pid_in(tmp_path / "pid", wait_until)
    assert process_started(child) is not None
    parent.kill()
    parent.wait()
    wait_until(lambda: process_started(child) is None, 10, "the program is gone")


def test_without_a_pipe_the_parent_is_watched(tmp_path: Path, wait_until) -> None:
    told = tmp_path / "told"
    waiting = script(tmp_path, "waiting.py", WAITING)
    shell = subprocess.Popen(
        ["sh", "-c", f"'{sys.executable}' '{waiting}' '{told}' & wait"], env={**os.environ, "PYTHONPATH": str(CHECKOUT)}
    )
    child = pid_in(told.with_suffix(".pid"), wait_until)
    shell.kill()
    shell.wait()
    wait_until(lambda: process_started(child) is None, 10, "the child is gone")
    assert told.read_text() == f"the parent process {shell.pid} is gone"


def test_a_variable_that_was_passed_on_names_no_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("", "1:2", "1:99999:5", f"{os.getppid()}:0:1", "x:y:z"):
        monkeypatch.setenv("TWITTOMATIC_PARENT", value)
        assert not has_parent()


# Children


def test_a_child_is_asked_to_stop(tmp_path: Path, wait_until) -> None:
    told = tmp_path / "told"
    child = waiting_child(tmp_path, told).start()
    pid_in(told.with_suffix(".pid"), wait_until)
    assert child.running
    assert os.getpgid(child.pid) != os.getpgid(0), "Ctrl-C in the terminal does not reach it"
    assert child.stop(10) == 0
    assert told.read_text() == "received SIGTERM"


def test_a_child_that_does_not_listen_is_killed() -> None:
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"
    child = Child([sys.executable, "-c", code], "deaf child", program=True, read_stdout=True).start()
    assert child.read_line(10) == b"deaf\n"
    stop_all([child], grace_seconds=0.2)
    assert child.status == -signal.SIGKILL
    assert child.report() == f"deaf child (pid {child.pid}) was ended by SIGKILL"


def test_a_crash_is_reported_with_its_last_words() -> None:
    code = "import sys; print('x' * 9000, file=sys.stderr); raise SystemExit('no such thing')"
    child = Child([sys.executable, "-c", code], "crasher", program=True).start()
    assert child.wait(10) == 1
    assert child.report().startswith(f"crasher (pid {child.pid}) exited with status 1:\nxxx")
    assert child.report().endswith("no such thing")
    assert len(child.errors()) <= 2000
    child.stop()
    assert child.errors().endswith("no such thing")


def test_a_silent_child_does_not_hold_the_reader() -> None:
    child = Child(["sleep", "1000"], "silent", program=True, read_stdout=True).start()
    assert child.read_line(0.05) == b""
    assert child.stop(5) == -signal.SIGTERM
    assert Child(["true"], "never started", program=True).stop() is None


def test_a_child_can_be_started_again() -> None:
    child = Child(["false"], "false", program=True)
    pids = []
    for _ in range(2):
        pids.append(child.start().pid)
        assert child.wait(10) == 1
    assert pids[0] != pids[1]
    child.stop()


def test_ours_find_the_package_and_nothing_in_the_working_folder(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "twittomatic.py").write_text("raise SystemExit('the wrong one')")
    monkeypatch.chdir(tmp_path)
    child = Child(
        ["settings", "--json"], "settings", environment={"TWITTOMATIC_CRAWL": "inner"}, read_stdout=True
    ).start()
    output = child.process.communicate(timeout=20)[0]
    assert child.status == 0, child.report()
    assert json.loads(output)["CRAWL"]["value"] == "inner"
    child.stop()


# Which process


def test_a_process_is_known_by_pid_and_start() -> None:
    started = process_started(os.getpid())
    assert started is not None
    assert is_alive(os.getpid(), started)
    assert not is_alive(os.getpid(), started - 3600)


def test_a_process_that_ended_is_not_alive_even_unreaped(wait_until) -> None:
    process = subprocess.Popen(["true"])
    wait_until(lambda: process_started(process.pid) is None, 10, "it is a zombie")
    process.wait()
    assert process_started(process.pid) is None


# One process in a folder


def test_a_second_one_is_refused_and_told_who_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    with FolderLock(folder):
        with pytest.raises(InUse) as caught:
            FolderLock(folder).acquire()
        assert f"{folder} is in use: held by pid {os.getpid()} on host " in str(caught.value)
        assert isinstance(caught.value, UserError)
    assert FolderLock(folder).holder() == {}
    with FolderLock(folder) as again:
        assert again.holder()["pid"] == os.getpid()


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path, wait_until) -> None:
    code = """
        import sys, threading
        from pathlib import Path
        from twittomatic.lifecycle import FolderLock
        FolderLock(Path(sys.argv[1])).acquire()
        threading.Event().wait()
    """
    process = python(script(tmp_path, "holder.py", code), str(tmp_path), "crawl", "a file")
    lock = FolderLock(tmp_path)
    wait_until(lambda: lock.holder().get("pid") == process.pid, 15, "the holder has it")
    with pytest.raises(InUse, match=r"held by pid \d+ on host .*: holder\.py .* crawl 'a file'"):
        lock.acquire()
    process.kill()
    process.wait()
    assert lock.holder()["pid"] == process.pid, "its name is still there, its lock is not"
    with lock:
        assert lock.holder()["pid"] == os.getpid()


def test_children_do_not_inherit_the_lock(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path).acquire()
    child = Child(["sleep", "1000"], "sleeper", program=True).start()
    lock.release()
    with FolderLock(tmp_path):
        assert child.running
    child.stop(5)


def test_two_threads_do_not_share_a_lock(tmp_path: Path) -> None:
    refused: list[InUse] = []

    def second() -> None:
        try:
            FolderLock(tmp_path).acquire()
        except InUse as error:
            refused.append(error)

    with FolderLock(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert len(refused) == 1
