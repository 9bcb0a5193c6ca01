"""Saving a section: one transaction with lock, version, review and audit, for every tab alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import models, transaction

from accounts import audit, emails
from accounts.models import SectionReview, User


class Stale(Exception):
    """Somebody else saved the same after the form was opened; `version` is the one stored now."""

    def __init__(self, version: int) -> None:
        super().__init__(version)
        self.version = version


class StaleSection(Stale):
    """Of a section."""


@dataclass
class Change:
    """What a section's action changed: field → (before, after). Fill it with `apply` or by hand."""

    fields: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    def apply(self, row: models.Model, values: Mapping[str, Any]) -> bool:
        """Set `values` on the row, note the differences, save those columns alone. True when there are any.

        The row may have been read before the lock: what others wrote in its other columns stays.
        """
        before = {name: getattr(row, name) for name in values}
        differing = {name: (before[name], value) for name, value in values.items() if before[name] != value}
        for name, (_old, new) in differing.items():
            setattr(row, name, new)
        if row.pk is None:
            row.save()
        elif differing:
            row.save(update_fields=list(differing))
        self.fields |= differing
        return bool(differing)

    def details(self) -> dict[str, Any]:
        """The differences as an event of the audit trail has them: field → [before, after]."""
        return {name: [_plain(before), _plain(after)] for name, (before, after) in self.fields.items()}


@contextmanager
def section_change(*, user: User, section: str, by: User, version: int, now: datetime) -> Iterator[Change]:
    """Open the section for writing; on leaving, count the version, mark the review, write the audit.

    Locks the user's row, then the section's. The owner's save confirms what others prefilled; anybody
    else's marks the section « à vérifier » (rules 4.5). Raises `StaleSection`.
    """
    with transaction.atomic():
        User.objects.get_queryset().select_for_update().get(pk=user.pk)
        review, _created = SectionReview.objects.get_or_create(user=user, section=section)
        if review.version != version:
            raise StaleSection(review.version)
        change = Change()
        yield change
        if by.pk != user.pk and review.version and not review.to_review():
            emails.queue("section_reopened", user=user, context={"by": by, "section": section, "when": now})
        review.version += 1
        _mark(review, user=user, by=by, now=now)
        review.save()
        audit.record(f"section:{section}:saved", actor=by, subject=user, at=now, **change.details())


def begin_prefilled(*, user: User, section: str, by: User, now: datetime) -> None:
    """A new account's section holds what `by` typed when creating it: « à vérifier », and never saved yet."""
    SectionReview.objects.create(user=user, section=section, prefilled_by=by, prefilled_at=now)


def _mark(review: SectionReview, *, user: User, by: User, now: datetime) -> None:
    if by.pk != user.pk:
        review.prefilled_by, review.prefilled_at, review.confirmed_at = by, now, None
    elif review.prefilled_at:
        review.confirmed_at = now


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, (str, int, bool)) else str(value)


def section_version(user: User, section: str) -> int:
    """The version a form opened now must carry."""
    return (
        SectionReview.objects.filter(user=user, section=section).values_list("version", flat=True).first()
        or 0
    )
