"""Every sealed value of the database, in one list: what a change of the sealing key goes through.

A form kept in somebody's session is not in it: it ends with the session, and a lost one is typed again.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from allauth.mfa.models import Authenticator
from django.contrib.postgres.fields import ArrayField
from django.db.models import BinaryField, F, Func, JSONField, Model, QuerySet, TextField, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast

from accounts import emails
from accounts.actions import factor, keys
from accounts.models import Mail, PersonalKey
from accounts.sealing import LONGEST_KEY_NAME, CannotOpen, Sealer, key_name_of, sealer
from ehealth import custody
from ehealth.models import Keystore, PlatformSession
from practitioners import imports
from practitioners.models import PeopleImport

BATCH = 500


@dataclass(frozen=True)
class SealedColumn:
    """One sealed column: how its values are found, where each belongs, how one takes another's place."""

    model: type[Model]
    column: str
    place: Callable[[Any], Mapping[str, Any]]
    owner: str

    def __str__(self) -> str:
        return f"{self.model._meta.db_table}.{self.column}"

    def value(self) -> Any:
        """The sealed bytes, as an expression of the database."""
        return F(self.column)

    def rows(self) -> QuerySet[Any]:
        """Rows that hold a value, which is their `sealed`."""
        rows = self.model._base_manager.annotate(sealed=self.value()).filter(sealed__isnull=False)
        return rows.select_related(self.owner)

    def key_names(self) -> Iterator[tuple[int, str]]:
        """Primary key and name of the sealing key of each value, in order; reads in batches."""
        start = (F("sealed"), Value(1), Value(2 + LONGEST_KEY_NAME))
        head = Func(*start, function="substring", output_field=BinaryField())
        rows = self.rows().annotate(head=head).order_by("pk").values_list("pk", "head")
        found = list(rows[:BATCH])
        while found:
            yield from ((pk, key_name_of(bytes(start))) for pk, start in found)
            found = list(rows.filter(pk__gt=found[-1][0])[:BATCH])

    def replace(self, pk: int, old: bytes, new: bytes) -> bool:
        """Put a value in the place of the one that was read; False when somebody else wrote meanwhile."""
        rows = self.model._base_manager.filter(pk=pk, **{self.column: old})
        return bool(rows.update(**{self.column: new}))


class FactorSeed(SealedColumn):
    """The seed of a second factor, which waits as base64 in a JSON object beside its last time step."""

    def value(self) -> Any:
        text = KeyTextTransform("seed", self.column)
        return Func(text, Value("base64"), function="decode", output_field=BinaryField())

    def replace(self, pk: int, old: bytes, new: bytes) -> bool:
        before, after = (base64.b64encode(value).decode() for value in (old, new))
        path, seed = Cast(Value("{seed}"), ArrayField(TextField())), Value(after, JSONField())
        data = Func(F(self.column), path, seed, function="jsonb_set", output_field=JSONField())
        return bool(Authenticator.objects.filter(pk=pk, data__seed=before).update(data=data))


COLUMNS: tuple[SealedColumn, ...] = (
    SealedColumn(PersonalKey, "file_code", keys.place, "user"),
    FactorSeed(Authenticator, "data", lambda row: factor.place(row.user), "user"),
    SealedColumn(Mail, "content", emails.place, "user"),
    SealedColumn(PeopleImport, "content", imports.place, "practice"),
    *(
        SealedColumn(Keystore, column, partial(custody.place, column=column), "user")
        for column in ("blob", "key", "chain")
    ),
    *(
        SealedColumn(PlatformSession, column, partial(custody.place, column=column), "keystore__user")
        for column in ("key", "chain", "assertion")
    ),
)


@dataclass
class Report:
    """What became of the values of one column; `unreadable` are the primary keys of those no key opens."""

    sealed: int = 0
    rewrapped: int = 0
    unreadable: list[int] = field(default_factory=list)


def rewrap(column: SealedColumn, *, write: bool = True) -> Report:
    """Wrap every value of a column under the first key; with `write=False` only see that each could be.

    Each value is opened before and after, and written only in the place of the very value that was read:
    it may be ended at any moment and run again, beside any other writer.
    """
    report, seal = Report(), sealer()
    for pk, name in column.key_names():
        report.sealed += 1
        if name == seal.first:
            continue
        try:
            report.rewrapped += _rewrap_one(column, pk, seal, write)
        except CannotOpen:
            report.unreadable.append(pk)
    return report


def _rewrap_one(column: SealedColumn, pk: int, seal: Sealer, write: bool) -> bool:
    """False when the value is gone, or was sealed anew by somebody else."""
    while row := column.rows().filter(pk=pk).first():
        old, place = bytes(row.sealed), column.place(row)
        new = seal.rewrap(old, **place)
        if new == old:
            return False
        if seal.open(new, **place) != seal.open(old, **place):
            raise CannotOpen
        if not write or column.replace(pk, old, new):
            return True
    return False


def unreadable(column: SealedColumn) -> Iterator[int]:
    """Primary keys of values that no key of the ring opens in their place."""
    seal = sealer()
    for pk, _name in column.key_names():
        row = column.rows().filter(pk=pk).first()
        try:
            if row:
                seal.open(bytes(row.sealed), **column.place(row))
        except CannotOpen:
            yield pk


def under_other_keys(column: SealedColumn) -> dict[str, list[int]]:
    """Primary keys of the values that the first key did not seal, by name of the key that did."""
    first = sealer().first
    found: dict[str, list[int]] = {}
    for pk, name in column.key_names():
        if name != first:
            found.setdefault(name, []).append(pk)
    return found
