"""What may be read of a row, fact by fact: masked, in words, never a secret."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Model, QuerySet
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import identifiers
from accounts.contacts import mask_email
from accounts.models import Practice, User
from billing.bank import mask_iban
from medisetup.logs import NUMBERS

NOTHING = "–"
# By the name of the field, wherever it stands.
MASKS: dict[str, Callable[[str], str]] = {
    "ssin": identifiers.mask_ssin,
    "house_contact_ssin": identifiers.mask_ssin,
    "nihii": identifiers.mask_nihii,
    "house_nihii": identifiers.mask_nihii,
    "bce": identifiers.mask_bce,
    "iban": mask_iban,
    "old_iban": mask_iban,
    "login": identifiers.mask_login,
    "to": mask_email,
}
# Passwords, sealed and public bytes, digests, contents; names of files hold the owner's number.
SECRET = frozenset(
    {
        "password", "login_key", "email_key", "spki", "fingerprint", "file_code", "blob", "sha256",
        "file_name", "key", "chain", "assertion", "content", "digest", "request_sha256", "response_sha256",
    }
)  # fmt: skip
# Rows with a page of their own that others link to.
PAGES: dict[type[Model], str] = {
    User: "support:accounts_user_change",
    Practice: "support:accounts_practice_change",
}
Words = Callable[[], Iterable[tuple[str, Any]]]


class SecretFact(ValueError):
    """Nobody may show that field, masked or not."""


def reach(row: Model, path: str) -> Any:
    """The value at the end of the path; None where the way ends before."""
    value: Any = row
    for name in path.split("__"):
        try:
            value = getattr(value, name, None)
        except ObjectDoesNotExist:
            return None
    return value


def text(value: Any) -> str:
    """A value in the reader's language; a number that it holds by accident is hidden."""
    if value is None or value == "" or value == []:
        return NOTHING
    if isinstance(value, bool):
        return _("oui") if value else _("non")
    if isinstance(value, datetime):
        return date_format(localtime(value), "SHORT_DATETIME_FORMAT")
    if isinstance(value, date):
        return date_format(value, "SHORT_DATE_FORMAT")
    if isinstance(value, list):
        return ", ".join(text(part) for part in value)
    return NUMBERS.sub("•••", str(value))


class Fact:
    """One thing to read of a row: the path that leads to it, what it is called.

    `words` puts stored values into words where the field knows none; `say` makes the text from the row, and
    the path is then only a name. `order`: the path that a list is sorted by, when not this one. Called with a
    row by the lists of Django's admin. Raises `SecretFact` when it is made.
    """

    def __init__(
        self,
        path: str,
        label: str | Promise,
        *,
        words: Words | Mapping[Any, Any] | None = None,
        say: Callable[[Any], Any] | None = None,
        order: str = "",
    ) -> None:
        self.path, self.short_description, self.words, self.say = path, label, words, say
        *_way, self.field = path.split("__")
        if self.field in SECRET:
            raise SecretFact(path)
        self.__name__ = path
        # The order of numbers would tell what the mask hides.
        sortable = say is None and self.field not in MASKS
        self.admin_order_field = order or (path if sortable else None)

    def __call__(self, row: Any) -> Any:
        """What is read."""
        if self.say:
            return text(self.say(row))
        value = reach(row, self.path)
        if value and self.field in MASKS:
            return MASKS[self.field](value)
        return text(self._in_words(row, value))

    def _in_words(self, row: Model, value: Any) -> Any:
        if self.words is not None:
            known = dict(self.words() if callable(self.words) else self.words)
            return known.get(value, value)
        way = self.path.rpartition("__")[0]
        owner = reach(row, way) if way else row
        display = getattr(owner, f"get_{self.field}_display", None)
        return display() if display else value

    def relations(self, model: type[Model]) -> str:
        """What to fetch together with the row: the part of the path that leads through single rows."""
        found: list[str] = []
        for name in () if self.say else self.path.split("__"):
            field = next((field for field in model._meta.get_fields() if field.name == name), None)
            related = field.related_model if field and (field.many_to_one or field.one_to_one) else None
            if related is None:
                break
            found.append(name)
            model = related
        return "__".join(found)


class Link(Fact):
    """A person or a practice, with a link to what support reads of it. Never the first column of a list."""

    def __call__(self, row: Any) -> Any:
        found = reach(row, self.path)
        page = PAGES.get(type(found))
        if page is None:
            return text(found)
        return format_html('<a href="{}">{}</a>', reverse(page, args=[found.uuid]), text(found))


def named(path: str = "user") -> Fact:
    """The person, as the first column of a list."""
    return Fact(path, gettext_lazy("Personne concernée"), order=f"{path}__last_name")


def person(path: str, label: str | Promise) -> Link:
    """A person whom the row names besides."""
    return Link(path, label, order=f"{path}__last_name")


def practice(path: str) -> Link:
    return Link(path, gettext_lazy("Cabinet"), order=f"{path}__name")


class Related(NamedTuple):
    """Rows that belong to a row, as a table on its page."""

    title: str | Promise
    facts: tuple[Fact, ...]
    rows: Callable[[Any], Sequence[Any] | QuerySet[Any]]
