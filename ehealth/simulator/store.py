"""What the simulated platform remembers, in one SQLite file: nothing that was answered is ever lost.

Several threads share one connection under a lock; the keystore command writes from its own process.
"""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

MUTUALITIES = ("100", "200", "300", "400", "500", "600", "900")

_TABLES = """
CREATE TABLE IF NOT EXISTS person (ssin TEXT PRIMARY KEY, facts TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS etk (ssin TEXT PRIMARY KEY, token BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS revoked (serial TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS token (
    id TEXT PRIMARY KEY, ssin TEXT NOT NULL, nihii11 TEXT, issued_at TEXT NOT NULL, ends_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS seen (signature TEXT PRIMARY KEY, until TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS registration (
    id INTEGER PRIMARY KEY, nihii TEXT NOT NULL, mutuality TEXT NOT NULL, reference TEXT NOT NULL,
    account TEXT NOT NULL, start_date TEXT NOT NULL, accepted_at TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS registration_by_person ON registration (nihii, mutuality);
CREATE TABLE IF NOT EXISTS letter (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL, ssin TEXT NOT NULL, box TEXT NOT NULL, published TEXT NOT NULL,
    expires TEXT NOT NULL, size INTEGER NOT NULL, facts TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS letter_by_box ON letter (ssin, box, published, seq);
CREATE TABLE IF NOT EXISTS numbering (name TEXT PRIMARY KEY, last INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS receipt (
    id TEXT NOT NULL, sender TEXT NOT NULL, recipient TEXT NOT NULL, published TEXT NOT NULL, received TEXT,
    read TEXT, PRIMARY KEY (id, recipient));
CREATE TABLE IF NOT EXISTS call (
    id INTEGER PRIMARY KEY, at TEXT NOT NULL, service TEXT NOT NULL, operation TEXT NOT NULL,
    ssin TEXT NOT NULL, mutuality TEXT NOT NULL, outcome TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS fault (
    id INTEGER PRIMARY KEY, service TEXT NOT NULL, kind TEXT NOT NULL, value TEXT NOT NULL,
    ssin TEXT NOT NULL, mutuality TEXT NOT NULL, remaining INTEGER NOT NULL);
"""


@dataclass(frozen=True)
class Person:
    """What the authentic sources say of somebody.

    ``recognised``: mutualities that know the doctor (others answer 141); ``registered``: mutualities where
    an earlier registration stands (168); ``authorised``: false makes every business service answer SOA-01002;
    ``standby``, ``current_size``, ``max_size`` describe the mailbox (size None: the sum of its messages).
    """

    ssin: str
    first_name: str = ""
    last_name: str = ""
    nihii11: str | None = None
    doctor: bool = True
    authorised: bool = True
    recognised: list[str] = field(default_factory=lambda: list(MUTUALITIES))
    registered: list[str] = field(default_factory=list)
    standby: int = 0
    current_size: int | None = None
    max_size: int = 10_485_760


@dataclass(frozen=True)
class Acceptance:
    """A registration that one mutuality has accepted; ``account`` is a digest of IBAN and BIC."""

    nihii: str
    mutuality: str
    reference: str
    account: str
    start_date: str
    accepted_at: str


@dataclass(frozen=True)
class Letter:
    """A message in one folder of one person; dates are ISO, ``size`` is in bytes, ``facts`` is the rest."""

    id: str
    ssin: str
    box: str
    published: str
    expires: str
    size: int
    facts: dict[str, Any]


STANDBY = "STANDBY"
"""The folder of what waits because the box is full."""


def _letter(row: tuple[Any, ...]) -> Letter:
    _seq, identifier, ssin, box, published, expires, size, facts = row
    return Letter(identifier, ssin, box, published, expires, size, json.loads(facts))


class Store:
    """The memory in ``path``; every method commits before it returns."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_TABLES)

    def close(self) -> None:
        """Releases the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(query, values).fetchall()

    def _write(self, query: str, *values: object) -> int:
        with self._lock:
            return self._db.execute(query, values).rowcount

    # People, their tokens and certificates

    def put_person(self, person: Person) -> None:
        """Adds or replaces what is known of that person."""
        facts = json.dumps(asdict(person))
        self._write("INSERT OR REPLACE INTO person VALUES (?, ?)", person.ssin, facts)

    def person(self, ssin: str) -> Person | None:
        """The person with that number, if known."""
        rows = self._rows("SELECT facts FROM person WHERE ssin = ?", ssin)
        return Person(**json.loads(rows[0][0])) if rows else None

    def people(self) -> list[Person]:
        """Everybody in the register."""
        return [
            Person(**json.loads(facts)) for (facts,) in self._rows("SELECT facts FROM person ORDER BY ssin")
        ]

    def publish_etk(self, ssin: str, token: bytes) -> None:
        """Makes ``token`` the encryption token of that person."""
        self._write("INSERT OR REPLACE INTO etk VALUES (?, ?)", ssin, token)

    def etk(self, ssin: str) -> bytes | None:
        """The published encryption token, if any."""
        rows = self._rows("SELECT token FROM etk WHERE ssin = ?", ssin)
        return rows[0][0] if rows else None

    def revoke(self, serial: int) -> None:
        """From now on refuses the certificate with that serial number."""
        self._write("INSERT OR IGNORE INTO revoked VALUES (?)", str(serial))

    def is_revoked(self, serial: int) -> bool:
        """Whether the certificate with that serial number was revoked."""
        return bool(self._rows("SELECT 1 FROM revoked WHERE serial = ?", str(serial)))

    def keep_token(self, token: str, ssin: str, nihii11: str | None, start: datetime, end: datetime) -> None:
        """Remembers that a token was issued."""
        values = (token, ssin, nihii11, start.isoformat(), end.isoformat())
        self._write("INSERT INTO token VALUES (?, ?, ?, ?, ?)", *values)

    def first_sight(self, signature: str, now: datetime, until: datetime) -> bool:
        """Whether a message signature was never seen; remembered until the message is too old anyway."""
        with self._transaction() as db:
            db.execute("DELETE FROM seen WHERE until < ?", (now.isoformat(),))
            values = (signature, until.isoformat())
            return db.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", values).rowcount == 1

    # Registrations

    def accept(self, wish: Acceptance) -> tuple[Acceptance, bool]:
        """The registration that stands for that doctor and mutuality, and whether it is the wish itself.

        Accepts the wish when there is none. The same reference and account again gives the first result.
        """
        with self._transaction() as db:
            query = (
                "SELECT nihii, mutuality, reference, account, start_date, accepted_at FROM registration "
                "WHERE nihii = ? AND mutuality = ? ORDER BY id"
            )
            rows = db.execute(query, (wish.nihii, wish.mutuality)).fetchall()
            if rows:
                first = Acceptance(*rows[0])
                return first, (first.reference, first.account) == (wish.reference, wish.account)
            values = tuple(asdict(wish).values())
            db.execute("INSERT INTO registration VALUES (NULL, ?, ?, ?, ?, ?, ?)", values)
            return wish, True

    def registrations(self) -> list[dict[str, Any]]:
        """Each (nihii, mutuality) that was accepted, with how often, and the first reference and date."""
        query = (
            "SELECT nihii, mutuality, COUNT(*), reference, start_date, MIN(accepted_at) FROM registration "
            "GROUP BY nihii, mutuality ORDER BY nihii, mutuality"
        )
        names = ("nihii", "mutuality", "count", "reference", "start_date", "accepted_at")
        return [dict(zip(names, row, strict=True)) for row in self._rows(query)]

    # Mailbox

    def numbers(self, count: int) -> range:
        """As many running numbers for messages, never given before."""
        query = (
            "INSERT INTO numbering VALUES ('letter', ?) "
            "ON CONFLICT (name) DO UPDATE SET last = last + excluded.last RETURNING last"
        )
        with self._transaction() as db:
            last = int(db.execute(query, (count,)).fetchone()[0])
        return range(last - count + 1, last + 1)

    def put_letters(self, letters: list[Letter]) -> None:
        """Adds messages where they say."""
        rows = [(*list(asdict(each).values())[:6], json.dumps(each.facts)) for each in letters]
        with self._transaction() as db:
            db.executemany("INSERT INTO letter VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)", rows)

    def letters(self, ssin: str, box: str, today: str, first: int, last: int) -> list[Letter]:
        """Messages ``first`` to ``last`` (from 1) of a folder that have not expired, newest first."""
        query = (
            "SELECT * FROM letter WHERE ssin = ? AND box = ? AND expires >= ? "
            "ORDER BY published DESC, seq DESC LIMIT ? OFFSET ?"
        )
        return [_letter(row) for row in self._rows(query, ssin, box, today, last - first + 1, first - 1)]

    def letter(self, ssin: str, box: str, today: str, identifier: str) -> Letter | None:
        """That message of a folder, unless it has expired."""
        query = "SELECT * FROM letter WHERE ssin = ? AND box = ? AND expires >= ? AND id = ?"
        rows = self._rows(query, ssin, box, today, identifier)
        return _letter(rows[0]) if rows else None

    def move_letter(self, letter: Letter, box: str) -> bool:
        """Puts a message in another folder of its owner; false when it is gone."""
        query = "UPDATE letter SET box = ? WHERE ssin = ? AND box = ? AND id = ?"
        return self._write(query, box, letter.ssin, letter.box, letter.id) == 1

    def delete_letter(self, letter: Letter) -> bool:
        """Destroys a message; false when it is gone."""
        query = "DELETE FROM letter WHERE ssin = ? AND box = ? AND id = ?"
        return self._write(query, letter.ssin, letter.box, letter.id) == 1

    def box_size(self, ssin: str, today: str) -> int:
        """Bytes used by what lies in any folder of that person."""
        query = (
            "SELECT COALESCE(SUM(size), 0) FROM letter WHERE ssin = ? AND box != 'STANDBY' AND expires >= ?"
        )
        return int(self._rows(query, ssin, today)[0][0])

    def waiting(self, ssin: str, today: str) -> list[Letter]:
        """What waits outside the box, oldest first."""
        return self.letters(ssin, STANDBY, today, 1, 1_000_000)[::-1]

    def publish(self, identifier: str, sender: str, recipient: str, at: str) -> None:
        """Notes that a message was sent."""
        self._write("INSERT INTO receipt VALUES (?, ?, ?, ?, NULL, NULL)", identifier, sender, recipient, at)

    def receive(self, identifier: str, recipient: str, at: str) -> None:
        """Notes that a message came into the box of its recipient."""
        query = "UPDATE receipt SET received = COALESCE(received, ?) WHERE id = ? AND recipient = ?"
        self._write(query, at, identifier, recipient)

    def see(self, identifier: str, recipient: str, at: str) -> None:
        """Notes that a message was read by its recipient."""
        query = "UPDATE receipt SET read = COALESCE(read, ?) WHERE id = ? AND recipient = ?"
        self._write(query, at, identifier, recipient)

    def receipts(self, identifier: str, sender: str) -> list[tuple[str, str, str | None, str | None]]:
        """Recipient and moments of publication, arrival and reading of a message of that sender."""
        query = (
            "SELECT recipient, published, received, read FROM receipt WHERE id = ? AND sender = ? "
            "ORDER BY recipient"
        )
        return [(row[0], row[1], row[2], row[3]) for row in self._rows(query, identifier, sender)]

    # Calls and faults

    def note_call(
        self, at: datetime, service: str, operation: str, ssin: str, mutuality: str, outcome: str
    ) -> None:
        """Counts one call with how it ended."""
        values = (at.isoformat(), service, operation, ssin, mutuality, outcome)
        self._write("INSERT INTO call VALUES (NULL, ?, ?, ?, ?, ?, ?)", *values)

    def calls(self) -> list[dict[str, Any]]:
        """Number of calls by service, operation, person, mutuality and outcome."""
        query = (
            "SELECT service, operation, ssin, mutuality, outcome, COUNT(*) FROM call "
            "GROUP BY service, operation, ssin, mutuality, outcome ORDER BY MIN(id)"
        )
        names = ("service", "operation", "ssin", "mutuality", "outcome", "count")
        return [dict(zip(names, row, strict=True)) for row in self._rows(query)]

    def add_fault(self, service: str, kind: str, value: str, ssin: str, mutuality: str, count: int) -> None:
        """Orders a misbehaviour for the next ``count`` calls that match; an empty text matches everything."""
        values = (service, kind, value, ssin, mutuality, count)
        self._write("INSERT INTO fault VALUES (NULL, ?, ?, ?, ?, ?, ?)", *values)

    def take_fault(self, service: str, ssin: str, mutuality: str) -> tuple[str, str] | None:
        """Kind and value of the oldest order that matches, which is thereby used once."""
        with self._transaction() as db:
            row = db.execute(
                "SELECT id, kind, value FROM fault WHERE remaining > 0 AND service IN ('', ?) "
                "AND ssin IN ('', ?) AND mutuality IN ('', ?) ORDER BY id LIMIT 1",
                (service, ssin, mutuality),
            ).fetchone()
            if row is None:
                return None
            db.execute("UPDATE fault SET remaining = remaining - 1 WHERE id = ?", (row[0],))
            return row[1], row[2]

    def faults(self) -> list[dict[str, Any]]:
        """Orders that are not used up."""
        query = "SELECT id, service, kind, value, ssin, mutuality, remaining FROM fault WHERE remaining > 0"
        names = ("id", "service", "kind", "value", "ssin", "mutuality", "remaining")
        return [dict(zip(names, row, strict=True)) for row in self._rows(query)]

    def cancel_fault(self, order: int) -> None:
        """Cancels one order by its id."""
        self._write("DELETE FROM fault WHERE id = ?", order)

    def clear_faults(self) -> None:
        """Cancels every order."""
        self._write("DELETE FROM fault")
