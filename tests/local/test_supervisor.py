"""The supervisor with real processes: order, restart, lock, ports, and nothing left behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from medisetup.local.lock import Lock
from medisetup.local.process import Account, Child, Program, free_port, port_is_free
from medisetup.local.supervisor import Ended, Post, Supervisor
from medisetup.local.trouble import Trouble

DEADLINE = 20.0
PATIENT = "import signal, sys, time\nprint('up', flush=True)\ntime.sleep(600)"
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('up', flush=True)
time.sleep(600)
"""
DEAF_CHILD = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, '-c', {DEAF!r}])
print(child.pid, flush=True)
child.wait()
"""
PARENT = """
import sys, time
from pathlib import Path
from medisetup.local.process import Account, Child, Program
program = Program('deaf', ['/bin/sleep', '600'], Path(sys.argv[1]), account=eval(sys.argv[2]))
print(Child.start(program).process.pid, flush=True)
time.sleep(600)
"""


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def alive(pid: int) -> bool:
    """A zombie that waits for its new parent has ended as well."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def python(folder: Path, name: str, source: str = PATIENT, **more: object) -> Program:
    log = folder / f"{name}.log"
    more.setdefault("ready", lambda: log.exists() and "up" in log.read_text())
    return Program(name=name, command=[sys.executable, "-c", source], log=log, **more)  # type: ignore[arg-type]


def test_children_end_in_the_reverse_order_of_their_start(tmp_path: Path) -> None:
    said: list[str] = []
    with Supervisor(say=said.append) as supervisor:
        children = [supervisor.start(python(tmp_path, name)) for name in ("database", "worker", "web")]
    assert [line.split(" … ")[0] for line in said] == [
        "database",
        "worker",
        "web",
        "web",
        "worker",
        "database",
    ]
    assert not any(child.running for child in children)


def test_a_child_that_ignores_the_request_is_killed_with_its_group(tmp_path: Path) -> None:
    program = python(tmp_path, "deaf", DEAF_CHILD, stop_seconds=0.2)
    child = Child.start(program)
    child.wait_ready()
    grandchild = int(program.log.read_text().split()[0])
    child.stop()
    assert eventually(lambda: not alive(grandchild))
    assert not child.running


def test_a_fallen_child_is_started_again_and_its_last_lines_are_shown(tmp_path: Path) -> None:
    said: list[str] = []
    with Supervisor(say=said.append) as supervisor:
        first = supervisor.start(python(tmp_path, "worker"))
        first.process.kill()
        post = supervisor.posts[0]

        def again() -> bool:
            supervisor.look_after(post)
            return post.child is not first and post.child.running

        assert eventually(again)
    assert any("worker s'est arrêté (code -9" in line and "redémarre" in line for line in said)


def test_quick_falls_wait_longer_and_longer_up_to_a_ceiling(tmp_path: Path) -> None:
    child = Child.start(python(tmp_path, "worker"))
    try:
        post = Post(child)
        waits = [post.fell(child.started + 1) for _ in range(8)]
        assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30]
        assert post.fell(child.started + 61) == 0.5
    finally:
        child.stop()


def test_the_end_of_a_child_that_matters_ends_everything(tmp_path: Path) -> None:
    with Supervisor(say=print) as supervisor:
        other = supervisor.start(python(tmp_path, "worker"))
        web = supervisor.start(python(tmp_path, "web", restarts=False))
        web.process.kill()
        with pytest.raises(Trouble, match="web"):
            supervisor.watch()
    assert not other.running


def test_a_child_that_dies_while_starting_is_reported_with_its_own_words(tmp_path: Path) -> None:
    source = "import sys; sys.exit('no such table')"
    with Supervisor(say=print) as supervisor, pytest.raises(Trouble, match="no such table"):
        supervisor.start(python(tmp_path, "web", source))


def test_a_child_that_never_answers_is_given_up(tmp_path: Path) -> None:
    program = python(tmp_path, "web", ready=lambda: False, ready_seconds=0.2)
    with Supervisor(say=print) as supervisor:
        with pytest.raises(Trouble, match="ne répond pas"):
            supervisor.start(program)
        assert len(supervisor.posts) == 1  # it is among those that leaving ends
    assert not supervisor.posts


def test_a_program_that_ends_by_itself_gives_its_words_and_a_failure_stops_the_start(tmp_path: Path) -> None:
    with Supervisor(say=print) as supervisor:
        assert supervisor.run(python(tmp_path, "demo", "print('accounts')")) == "accounts"
        with pytest.raises(Trouble, match="broken"):
            supervisor.run(python(tmp_path, "migrate", "import sys; sys.exit('broken')"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_ending_signal_ends_a_waiting_start(tmp_path: Path, number: signal.Signals) -> None:
    with Supervisor(say=print) as supervisor:
        child = supervisor.start(python(tmp_path, "worker"))
        os.kill(os.getpid(), number)
        with pytest.raises(Ended):
            supervisor.watch()
        assert child.running
    assert not child.running


def test_a_terminals_interrupt_does_not_reach_the_children(tmp_path: Path) -> None:
    with Supervisor(say=print) as supervisor:
        child = supervisor.start(python(tmp_path, "worker"))
        assert os.getsid(child.process.pid) == child.process.pid != os.getsid(0)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's wish is Linux's")
@pytest.mark.parametrize("account", [None, pytest.param(Account(65534, 65534), id="nobody")])
def test_a_killed_supervisor_leaves_no_child(tmp_path: Path, account: Account | None) -> None:
    if account and os.geteuid() != 0:
        pytest.skip("only root can change the account")
    command = [sys.executable, "-c", PARENT, str(tmp_path / "deaf.log"), repr(account)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert alive(pid)
        process.kill()
    assert eventually(lambda: not alive(pid))


def test_a_second_start_is_told_who_runs_and_where(tmp_path: Path) -> None:
    first, second = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    first.take("http://localhost:8000")
    with pytest.raises(Trouble, match=rf"processus {os.getpid()}.*http://localhost:8000"):
        second.take("http://localhost:8001")
    second.release()
    assert "http://localhost:8000" in (tmp_path / "lock").read_text()
    first.release()
    second.take("http://localhost:8001")
    second.release()


def test_the_lock_waits_for_the_children_of_a_dead_start(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "lock")
    lock.take("http://localhost:8000")
    child = Child.start(python(tmp_path, "remnant"), keep_open=[lock.descriptor])
    child.wait_ready()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    os.pwrite(lock.descriptor, f"{dead.pid}\n".ljust(20).encode(), 0)
    os.close(lock.descriptor)
    looks = 0

    def pause() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            child.stop()

    second = Lock(tmp_path / "lock")
    second.take("http://localhost:8001", pause)
    assert looks >= 3
    second.release()


def test_a_port_somebody_listens_on_is_not_free() -> None:
    port = free_port()
    assert port_is_free(port)
    with socket.create_server(("127.0.0.1", port)):
        assert not port_is_free(port)


def test_the_log_is_for_us_alone(tmp_path: Path) -> None:
    child = Child.start(python(tmp_path, "worker"))
    child.stop()
    assert child.program.log.stat().st_mode & 0o077 == 0
