"""Judging a file of people before anything is created: every problem, by line and column, in words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django import forms
from django.conf import settings
from django.db.models.functions import Left
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import get_language_info, gettext_lazy
from django.utils.translation import gettext as _

from accounts import contacts, identifiers
from accounts.access import assignable_roles
from accounts.actions.people import EmailTaken, LoginTaken, RoleNotAssignable
from accounts.fields import NihiiField, PhoneField, SsinField
from accounts.forms.declared import field_of
from accounts.identifiers import Invalid, fold
from accounts.models import Practice, Role, User
from practitioners.forms import proposed_speciality
from practitioners.imports import Person
from practitioners.models import Practitioner, Telecom
from practitioners.people import NewPersonForm
from practitioners.reference import PHYSICIAN, profession_choices, professions
from practitioners.spreadsheets import Cell, Line

LONGEST_CELL = 1000
NIHII_IDENTITY = 8
COLUMNS = (
    "last_name", "first_name", "login", "email", "language", "roles", "profession", "ssin", "nihii", "mobile",
)  # fmt: skip
REQUIRED = ("last_name", "first_name", "login", "email", "roles", "profession")
NUMBERS = ("ssin", "nihii", "mobile")
# 8.2110297684E+10 or 8,21103E+10: what a spreadsheet shows of eleven digits.
SCIENTIFIC = re.compile(r"\d([.,]\d+)?E\+?\d+", re.IGNORECASE)
NIHII_TAKEN = gettext_lazy(
    "Une autre personne de ce cabinet a déjà ce numéro INAMI. Vérifiez-le, ou utilisez le compte existant."
)
NOT_IN_LIST = gettext_lazy(
    "Ce mot n'est pas connu. Copiez un des mots de la liste « Ce que le fichier contient »."
)
TWICE = gettext_lazy(
    "La ligne %(line)s a la même valeur. Chaque personne a la sienne : corrigez l'une des deux."
)
OF_CELLS = {
    "long": gettext_lazy("Cette case a plus de 1 000 caractères. Raccourcissez-la."),
    "formula": gettext_lazy("Cette case contient une formule. Remplacez-la par la valeur elle-même."),
    "error": gettext_lazy(
        "Le tableur a mis une erreur dans cette case. Remplacez-la par la valeur elle-même."
    ),
    "date": gettext_lazy(
        "Le tableur a fait une date de cette case. Mettez la colonne au format « Texte », puis tapez la "
        "valeur."
    ),
    "scientific": gettext_lazy(
        "Le tableur a abrégé ce numéro et des chiffres sont perdus. Mettez la colonne au format « Texte », "
        "puis recopiez le numéro en entier."
    ),
    "zero": gettext_lazy(
        "Le tableur a retiré le zéro du début de ce numéro. Mettez la colonne au format « Texte », "
        "puis tapez-le avec son zéro."
    ),
    "outside": gettext_lazy("Cette case n'est sous aucun titre. Effacez-la, ou déplacez-la sous sa colonne."),
}
FIRST_LINE = {
    "none": gettext_lazy("La première ligne ne porte aucun titre connu. Reprenez celle du modèle."),
    "unknown": gettext_lazy(
        "Cette colonne n'est pas connue. Effacez-la, ou reprenez les titres du modèle : rien d'autre n'est "
        "importé."
    ),
    "double": gettext_lazy("Cette colonne est deux fois dans le fichier. Gardez-en une."),
    "missing": gettext_lazy("Cette colonne manque. Ajoutez-la, comme dans le modèle."),
}


@dataclass(frozen=True)
class Problem:
    """One thing to mend: where it is, what is there (personal numbers masked), why and what to do."""

    line: int
    column: str
    value: str
    text: str


@dataclass
class Checked:
    """People who can be created, or the problems; never both."""

    people: list[Person] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


class PersonForm(NewPersonForm):
    """One line of the file: « Nouvel utilisateur » with the numbers that may be prefilled."""

    ssin = SsinField(label=gettext_lazy("Numéro National"), required=False)
    nihii = NihiiField(label=gettext_lazy("Numéro INAMI"), required=False)
    mobile = PhoneField(label=gettext_lazy("GSM"), required=False)

    def __init__(self, data: Mapping[str, Any], *, actor: User, allowed: frozenset[str]) -> None:
        super().__init__(data, actor=actor, allowed=allowed)
        self.allowed = allowed
        field_of(self, "roles", forms.MultipleChoiceField).choices = Role.choices
        profession = professions().get(data["profession"])
        digits = "".join(profession.nihii_digits) if profession else ""
        field_of(self, "nihii", NihiiField).profession_digits = digits
        for name in ("profession", "language", "roles"):
            self.fields[name].error_messages["invalid_choice"] = NOT_IN_LIST

    def clean_roles(self) -> list[str]:
        roles: list[str] = self.cleaned_data["roles"]
        if not self.allowed.issuperset(roles):
            raise forms.ValidationError(RoleNotAssignable.message)
        return roles

    def values(self) -> dict[str, Any]:
        """For the action, ready to be kept: plain texts and lists."""
        values = dict(self.cleaned_data)
        mobile, number = values.pop("mobile"), values["nihii"]
        is_mobile = bool(mobile) and contacts.phone(mobile).kind == "mobile"
        values["telecom"] = (
            [str(Telecom.Type.MOBILE if is_mobile else Telecom.Type.PHONE), mobile] if mobile else []
        )
        values["speciality"] = values["training_status"] = ""
        if values["profession"] == PHYSICIAN and number:
            kinds, trainee = Practitioner.TrainingStatus, identifiers.nihii_is_trainee(number)
            values["training_status"] = str(kinds.TRAINEE if trainee else kinds.RECOGNISED)
            values["speciality"] = proposed_speciality(number)
        return values


# --- the words a file may use ----------------------------------------------------------------
def label(column: str) -> str:
    """The heading of a column in the reader's language."""
    return str(PersonForm.base_fields[column].label)


def _in_all_languages(words: Callable[[], Iterable[tuple[str, object]]]) -> dict[str, str]:
    """Word of any language, and key, → key."""
    known: dict[str, str] = {}
    for code, _name in settings.LANGUAGES:
        with translation.override(code):
            known |= {_folded(str(word)): key for key, word in words()}
    return known | {_folded(key): key for key, _word in words()}


def _folded(text: str) -> str:
    return " ".join(fold(text).split())


@cache
def headings() -> dict[str, str]:
    return _in_all_languages(lambda: [(column, label(column)) for column in COLUMNS])


@cache
def _words_of(column: str) -> dict[str, str]:
    choices: dict[str, Callable[[], Iterable[tuple[str, object]]]] = {
        "profession": profession_choices,
        "roles": lambda: Role.choices,
        "language": _languages,
    }
    return _in_all_languages(choices[column])


def _languages() -> list[tuple[str, str]]:
    infos = [(code, get_language_info(code)) for code, _name in settings.LANGUAGES]
    return [(code, info[name]) for code, info in infos for name in ("name_local", "name_translated")]


def _as_posted(column: str, text: str) -> Any:
    """What a form would receive for the words of a cell."""
    if column == "roles":
        words = [word.strip() for word in re.split(r"[,;|/\n]", text) if word.strip()]
        return [_words_of("roles").get(_folded(word), word) for word in words]
    if column in ("profession", "language"):
        return _words_of(column).get(_folded(text), text)
    return text


# --- the check -------------------------------------------------------------------------------
def check(lines: Sequence[Line], actor: User) -> Checked:
    """Judge a whole file as `actor` would create its people. Nothing is written."""
    columns, problems = _first_line(lines[0])
    if problems:
        return Checked(problems=problems)
    if len(lines) == 1:
        return Checked(
            problems=[
                Problem(2, "", "", _("Il n'y a personne sous les titres. Ajoutez une ligne par personne."))
            ]
        )
    allowed, judged = assignable_roles(actor), []
    for line in lines[1:]:
        cells = dict(zip(columns, line.cells, strict=False))
        found = _of_cells(line, columns, cells)
        judged.append((line, cells, found, _form(cells, actor, allowed)))
    _mark_doubles([(line.number, form) for line, _cells, _found, form in judged])
    _mark_taken([form for _line, _cells, _found, form in judged], actor.practice)
    for line, cells, found, form in judged:
        problems += [*found, *_of_form(line.number, cells, form, but={problem.column for problem in found})]
    if problems:
        return Checked(problems=problems)
    return Checked(people=[Person(line.number, form.values()) for line, _cells, _found, form in judged])


def _first_line(line: Line) -> tuple[list[str], list[Problem]]:
    columns = [headings().get(_folded(cell.text), "") for cell in line.cells]
    if not any(columns):
        return columns, [Problem(1, "", "", str(FIRST_LINE["none"]))]
    times = Counter(columns)
    problems = []
    for column, cell in zip(columns, line.cells, strict=True):
        kind = "unknown" if not column else "double" if times[column] > 1 else ""
        if kind:
            problems.append(Problem(1, cell.text[:40] or "–", "", str(FIRST_LINE[kind])))
    for column in REQUIRED:
        if column not in columns:
            problems.append(Problem(1, label(column), "", str(FIRST_LINE["missing"])))
    return columns, problems


def _form(cells: dict[str, Cell], actor: User, allowed: frozenset[str]) -> PersonForm:
    data = {column: _as_posted(column, cells.get(column, Cell()).text[:LONGEST_CELL]) for column in COLUMNS}
    data["language"] = data["language"] or actor.language
    form = PersonForm(data, actor=actor, allowed=allowed)
    form.full_clean()
    return form


def _of_cells(line: Line, columns: Sequence[str], cells: dict[str, Cell]) -> list[Problem]:
    """What is wrong with a cell whatever it should hold."""
    found = []
    for column, cell in cells.items():
        if kind := _wrong_kind(column, cell):
            found.append(Problem(line.number, label(column), shown(column, cell.text), str(OF_CELLS[kind])))
    for cell in line.cells[len(columns) :]:
        if cell.text:
            found.append(Problem(line.number, "–", cell.text[:40], str(OF_CELLS["outside"])))
    return found


def _wrong_kind(column: str, cell: Cell) -> str:
    if len(cell.text) > LONGEST_CELL:
        return "long"
    if cell.kind in ("formula", "error", "date"):
        return cell.kind
    if column not in NUMBERS:
        return ""
    if SCIENTIFIC.fullmatch(cell.text):
        return "scientific"
    digits = identifiers.normalise(cell.text)
    lost = (column == "ssin" and 8 <= len(digits) <= 10) or (column == "mobile" and len(digits) == 9)
    return "zero" if cell.kind == "number" and lost else ""


def _of_form(line: int, cells: dict[str, Cell], form: PersonForm, *, but: set[str]) -> list[Problem]:
    return [
        Problem(line, label(column), shown(column, cells.get(column, Cell()).text), str(message))
        for column in COLUMNS
        if label(column) not in but
        for message in form.errors.get(column, [])
    ]


def shown(column: str, text: str) -> str:
    """A value as a report shows it: numbers masked, long ones cut."""
    if column in NUMBERS:
        return identifiers.mask(text[:20])
    return f"{text[:59]}…" if len(text) > 60 else text


# --- the same twice --------------------------------------------------------------------------
def _keys(form: PersonForm) -> dict[str, str]:
    """Canonical forms to compare, of the fields that stand."""
    values = form.cleaned_data
    keys = {"ssin": values.get("ssin", ""), "nihii": values.get("nihii", "")[:NIHII_IDENTITY]}
    if email := values.get("email"):
        keys["email"] = contacts.email_key(email.lower())
    if login := values.get("login"):
        keys["login"] = identifiers.canonical_login(login)
    return {name: key for name, key in keys.items() if key}


def _mark_doubles(judged: Sequence[tuple[int, PersonForm]]) -> None:
    """Within the file: the same number, address or login; a login that is another's address."""
    seen: dict[tuple[str, str], int] = {}
    for line, form in judged:
        for name, key in _keys(form).items():
            first = seen.setdefault((name, key), line)
            if first != line:
                form.add_error(name, TWICE % {"line": first})
    for line, form in judged:
        keys = _keys(form)
        for name, other in (("login", "email"), ("email", "login")):
            at = seen.get((other, _as_other(name, keys.get(name, ""))))
            if at is not None and at != line and name not in form.errors:
                form.add_error(name, TWICE % {"line": at})


def _as_other(name: str, key: str) -> str:
    """The key that this login would have as an address, or this address as a login."""
    try:
        return (
            contacts.email_key(contacts.email(key)) if name == "login" else identifiers.canonical_login(key)
        )
    except Invalid:
        return ""


def _mark_taken(judged: Sequence[PersonForm], practice: Practice) -> None:
    """Against all accounts, in three queries for the whole file; INAMI numbers within the practice."""
    keys = [_keys(form) for form in judged]
    logins = {key["login"] for key in keys if "login" in key} | {
        _as_other("email", key["email"]) for key in keys if "email" in key
    }
    emails = {key["email"] for key in keys if "email" in key} | {
        _as_other("login", key["login"]) for key in keys if "login" in key
    }
    people = User.objects.get_queryset()
    taken = {
        "login": set(people.filter(login_key__in=logins).values_list("login_key", flat=True)),
        "email": set(people.filter(email_key__in=emails).values_list("email_key", flat=True)),
    }
    numbers = Practitioner.objects.filter(practice=practice).annotate(identity=Left("nihii", NIHII_IDENTITY))
    known = set(
        numbers.filter(identity__in={key.get("nihii", "") for key in keys} - {""}).values_list(
            "identity", flat=True
        )
    )
    for form, key in zip(judged, keys, strict=True):
        _mark_one(form, key, taken, known)


def _mark_one(form: PersonForm, key: dict[str, str], taken: dict[str, set[str]], numbers: set[str]) -> None:
    messages: dict[str, str | Promise] = {"login": LoginTaken.message, "email": EmailTaken.message}
    for name, other in (("login", "email"), ("email", "login")):
        value = key.get(name, "")
        if value in taken[name] or (value and _as_other(name, value) in taken[other]):
            form.add_error(name, str(messages[name]))
    if key.get("nihii") in numbers:
        form.add_error("nihii", NIHII_TAKEN)
