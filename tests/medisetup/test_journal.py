"""Who may read what happened: the owner's history, the practice's journal, and the file one takes away."""

from __future__ import annotations

import ast
import csv
import json
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO, StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone, translation
from openpyxl import load_workbook

from accounts import access, audit, journal
from accounts.actions.sections import section_change
from accounts.audit import KINDS
from accounts.models import AuditEvent, User
from medisetup import journal_words as words
from medisetup.sheets import neutral
from practitioners.actions import ADDRESS_FIELDS
from tests.accounts.factories import UserFactory
from tests.practitioners.factories import PractitionerFactory
from tests.proofs import asks, long_ago
from tests.test_consistency import APPS, sources

pytestmark = pytest.mark.django_db

Fixture = Callable[[User], Client]
LANGUAGES = ("fr", "nl", "de", "en")
SECRETS = ("password", "mot de passe du trousseau", "assertion", "PRIVATE KEY")


def note(kind: str, actor: User | None, **facts: Any) -> AuditEvent:
    with transaction.atomic():
        return audit.record(kind, actor=actor, **facts)


def text(response: Any) -> str:
    return response.content.decode()


# --- words ------------------------------------------------------------------------------------
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_has_a_sentence_and_one_group(kind: str, language: str) -> None:
    with translation.override(language):
        said = words.sentence(kind)
        assert said and ":" not in said.split()[0]
    if language != "fr" and not kind.startswith("section:"):
        assert said != str(words.KINDS[kind]) or said == "eHealth"
    groups = [name for name, prefixes in journal.GROUPS.items() if kind.startswith(prefixes)]
    assert len(groups) == 1, groups
    assert set(words.GROUPS) == set(journal.GROUPS)


def test_no_sentence_is_about_a_kind_that_is_gone() -> None:
    assert set(words.KINDS) <= KINDS
    assert {kind for kind in KINDS if kind not in words.KINDS} == {
        f"section:{key}:saved" for key, _name, _label in words.TABS
    }


def details_in_the_code() -> set[str]:
    """Names of the keyword arguments of every call that writes an event."""
    known = {"actor", "subject", "practice", "system", "at", "by", "user", "now", None}
    names: set[str] = set()
    for path in sources(*APPS):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("audit.record", "_record", "_note"):
                names |= {str(word.arg) for word in node.keywords if word.arg not in known}
    return names


def test_every_detail_has_a_label() -> None:
    columns = set(ADDRESS_FIELDS) | {"telecoms", "contacts", "fingerprint", "bits", "origin", "by_portal"}
    assert len(details_in_the_code()) > 25
    assert (details_in_the_code() | columns) - set(words.FIELDS) == set()
    for name in ADDRESS_FIELDS:
        assert words.label(f"address {name}").startswith("Adresse : ")
        assert words.label(f"address 12 {name}").startswith("Adresse 12 : ")
    assert words.label(f"address {UserFactory().uuid}") == "Adresse supprimée"


def test_no_machine_word_is_read_in_the_journal() -> None:
    assert words.label("iban_100") == "Compte bancaire (IBAN) : Mutualités chrétiennes (MC)"
    assert words.value("origin", "imported") == "Importée" and words.value("language", "nl") == "Nederlands"
    assert words.value("reason", "unticked") == "Récupération automatique décochée"
    assert words.value("reason", "compromised") == "Quelqu'un d'autre a pu la lire ou s'en servir"
    assert words.value("reason", "140").startswith("La mutualité vous connaît")
    assert words.value("reason", "Faute de frappe") == "Faute de frappe"


# --- the history of one's own file ------------------------------------------------------------
def test_the_owner_reads_who_changed_what_masked_and_from_where(signed_in: Fixture) -> None:
    doctor = PractitionerFactory().user
    manager = UserFactory(practice=doctor.practice, first_name="Odile", last_name="Renard")
    with section_change(
        user=doctor, section="practitioner/general", by=manager, version=0, now=timezone.now()
    ) as change:
        change.apply(doctor.practitioner, {"ssin": "85073003328", "profession": "persnurse"})
    page = text(signed_in(doctor).get(reverse("history", args=[doctor.uuid])))
    assert "« Informations générales » enregistré" in page and "Odile Renard" in page
    assert "Numéro National" in page and "•••328" in page and "85073003328" not in page
    assert "<del>Médecin</del>" in page and "persnurse" not in page


def test_a_visit_shows_the_shortened_address(signed_in: Fixture) -> None:
    doctor = UserFactory()
    client = signed_in(doctor)
    client.get(reverse("people"))
    page = text(client.get(reverse("history", args=[doctor.uuid])))
    assert "Page refusée" in page and "127.0.0.0/24" in page and "127.0.0.1" not in page


def test_the_readings_of_staff_are_in_the_history_and_the_journal(signed_in: Fixture) -> None:
    doctor = UserFactory()
    admin = UserFactory(practice=doctor.practice, roles=["admin"])
    access.anybody_or_404(UserFactory(is_staff=True, last_name="Dupont-Portail"), doctor.uuid)
    for reader, url in ((doctor, reverse("history", args=[doctor.uuid])), (admin, reverse("journal"))):
        page = text(signed_in(reader).get(url))
        assert "Dossier consulté par l&#x27;équipe du portail" in page and "Dupont-Portail" in page


def test_nobody_else_reads_the_history(signed_in: Fixture) -> None:
    doctor = UserFactory()
    url = reverse("history", args=[doctor.uuid])
    for roles in (["admin"], ["user_manager"]):
        assert signed_in(UserFactory(practice=doctor.practice, roles=roles)).get(url).status_code == 403
    assert signed_in(UserFactory(roles=["admin"])).get(url).status_code == 404


# --- the practice's journal -------------------------------------------------------------------
def test_an_administrator_reads_all_and_a_manager_what_managers_do(signed_in: Fixture) -> None:
    admin = UserFactory(roles=["admin"])
    manager = UserFactory(practice=admin.practice, roles=["user_manager"])
    note("account:role:granted", admin, subject=manager, role="reception")
    note("account:key:code_released", manager, subject=manager)
    stranger = UserFactory(last_name="Inconnu-Ailleurs")
    note("account:role:granted", stranger, subject=stranger, role="admin")
    whole, part = (text(signed_in(reader).get(reverse("journal"))) for reader in (admin, manager))
    assert "Code du fichier de la clé affiché" in whole and "Accueillant(e)" in whole
    assert "Code du fichier de la clé affiché" not in part and "Accueillant(e)" in part
    assert "Inconnu-Ailleurs" not in whole + part
    # A group that is not offered widens nothing.
    assert "Code du fichier" not in text(signed_in(manager).get(reverse("journal") + "?group=keys"))
    for roles in (["physician"], ["physician_trainee"], ["paramedical"], ["reception"], ["support"]):
        reader = UserFactory(practice=admin.practice, roles=roles)
        assert signed_in(reader).get(reverse("journal")).status_code == 403


def test_the_filter_narrows_and_stays_in_the_address(signed_in: Fixture) -> None:
    admin = UserFactory(roles=["admin"])
    other = UserFactory(practice=admin.practice)
    now = timezone.now()
    note("account:login:changed", admin, subject=other, login=["a", "b"])
    note("account:licence:requested", other, subject=other)
    note("account:licence:expired", None, system="licences", subject=other, at=now - timedelta(days=9))
    today, last_week = timezone.localdate(), timezone.localdate() - timedelta(days=5)
    said = {"login": "Login changé", "asked": "Licence d&#x27;un an demandée", "over": "Licence expirée"}
    for query, shown in (
        ("", {"login", "asked", "over"}),
        (f"?person={other.uuid}", {"login", "asked", "over"}),
        (f"?person={admin.uuid}", set()),
        ("?group=licences", {"asked", "over"}),
        (f"?actor={other.uuid}", {"asked"}),
        ("?actor=system", {"over"}),
        (f"?since={today}", {"login", "asked"}),
        (f"?until={last_week}", {"over"}),
        ("?since=hier", set()),
        (f"?person={UserFactory().uuid}", set()),
    ):
        page = text(signed_in(admin).get(reverse("journal") + query))
        assert {name for name, words_ in said.items() if words_ in page} == shown, query


def test_pages_keep_the_filter_and_cost_the_same(signed_in: Fixture) -> None:
    admin = UserFactory(roles=["admin"])
    for _time in range(60):
        note("account:licence:requested", admin, subject=admin)
    client = signed_in(admin)
    page = text(client.get(reverse("journal") + "?group=licences"))
    assert "group=licences&amp;page=2" in page and page.count("<tr>") == 51
    with CaptureQueriesContext(
        connection,
    ) as queries:
        client.get(reverse("journal") + "?group=licences&page=2")
    assert len(queries) <= 16


def test_the_indexes_serve_the_journal() -> None:
    """In a table of a size at which reading it all would cost."""
    user, now = UserFactory(roles=["admin"]), timezone.now()
    strangers = [(uuid4(), uuid4()) for _ in range(100)]
    AuditEvent.objects.bulk_create(
        AuditEvent(at=now, kind="account:session:began", actor=actor, practice=practice, subject=subject)
        for actor, practice in strangers
        for subject in [actor, None] * 20
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE accounts_auditevent")
    person = journal.of_person(user)[:50].explain()
    assert "audit_subject" in person and "audit_actor" in person
    assert "audit_practice" in journal.of_practice(user)[:50].explain()


# --- the export -------------------------------------------------------------------------------
def test_an_export_asks_for_a_second_proof_and_is_counted(signed_in: Fixture) -> None:
    admin = UserFactory(roles=["admin"])
    note("account:address:created", admin, subject=admin, name="=HYPERLINK(1)")
    note("account:role:granted", admin, subject=UserFactory(practice=admin.practice), role="admin")
    url = reverse("journal_export") + "?group=licences"
    assert asks(long_ago(signed_in(admin)).post(url, {"format": "csv"}), url)
    assert not AuditEvent.objects.filter(kind="account:journal:exported").exists()
    response = signed_in(admin).post(url, {"format": "csv"})
    assert response.headers["Content-Disposition"] == 'attachment; filename="journal.csv"'
    rows = list(csv.reader(StringIO(response.content.decode("utf-8-sig"))))
    assert [row[1] for row in rows] == ["Quoi", "Adresse de facturation créée"]
    assert "Nom : =HYPERLINK(1)" in rows[1]
    event = AuditEvent.objects.get(kind="account:journal:exported")
    assert (event.details["count"], event.details["filter"]) == (1, "group=licences")


def test_a_spreadsheet_holds_the_same_cells(signed_in: Fixture) -> None:
    admin = UserFactory(roles=["admin"], first_name="=1+1", last_name="\u202eX")
    note("account:licence:requested", admin, subject=admin)
    response = signed_in(admin).post(reverse("journal_export"), {"format": "xlsx"})
    rows = list(load_workbook(BytesIO(response.content)).active.iter_rows(values_only=True))
    assert rows[1][1] == "Licence d'un an demandée" and rows[1][2].startswith("'=1+1")


def test_a_manager_takes_away_only_what_is_shown(signed_in: Fixture) -> None:
    manager = UserFactory(roles=["user_manager"])
    note("account:key:code_released", manager, subject=manager)
    content = text(signed_in(manager).post(reverse("journal_export"), {"format": "csv"}))
    assert "Code du fichier" not in content
    url = reverse("journal_export")
    assert signed_in(manager).post(url, {"format": "exe"}).status_code == 400
    assert signed_in(manager).post(url + "?since=x", {"format": "csv"}).status_code == 400
    assert signed_in(UserFactory()).post(url, {"format": "csv"}).status_code == 403
    assert (
        signed_in(manager).get(url + "?group=people").headers["Location"].endswith("/journal/?group=people")
    )


@pytest.mark.parametrize("cell", ["=1", "+1", "-1", "@x", "\t=1", "\r=1", "＝1", "＋1", "－1", "＠x"])
def test_no_cell_can_act(cell: str) -> None:
    assert neutral(cell) == f"'{cell}"
    assert neutral(f"a{cell}") == f"a{cell}" and neutral("a\x00b") == "a�b"


def test_nothing_secret_is_ever_shown(signed_in: Fixture) -> None:
    """A detail that names a secret is refused where it is written; a number is stored masked."""
    admin = UserFactory(roles=["admin"])
    for name in audit.FORBIDDEN:
        with pytest.raises(audit.UnknownKind):
            note("account:login:changed", admin, **{name: "x"})
    note(
        "section:billing/financial:saved",
        admin,
        subject=admin,
        iban=["BE67001000001187", ""],
        bce="0100000169",
    )
    stored = json.dumps(AuditEvent.objects.get(kind="section:billing/financial:saved").details)
    page = text(signed_in(admin).get(reverse("journal")))
    for number in ("BE67001000001187", "0100000169"):
        assert number not in page + stored


def test_a_file_that_would_be_cut_is_refused(signed_in: Fixture) -> None:
    admin = UserFactory(roles=["admin"])
    facts = {"kind": "account:licence:paid", "at": timezone.now(), "practice": admin.practice.uuid}
    AuditEvent.objects.bulk_create(
        AuditEvent(actor=admin.uuid, actor_name="A", **facts) for _time in range(10_001)
    )
    response = signed_in(admin).post(reverse("journal_export"), {"format": "csv"})
    assert response.status_code == 422 and "10000 lignes au plus" in text(response)
    assert not AuditEvent.objects.filter(kind="account:journal:exported").exists()


def test_ten_files_an_hour_whatever_is_in_them(signed_in: Fixture) -> None:
    admin = UserFactory(roles=["admin"])
    client = signed_in(admin)
    url, board = reverse("journal_export"), reverse("people_export", args=["csv"])
    taken = [client.post(url, {"format": "csv"}).status_code for _file in range(9)] + [
        client.get(board).status_code
    ]
    assert taken == [200] * 10
    for refused in (client.post(url, {"format": "csv"}), client.get(board)):
        assert refused.status_code == 429 and refused.headers["Retry-After"] == "3600"
    assert AuditEvent.objects.filter(kind="account:journal:exported").count() == 9
    assert AuditEvent.objects.get(kind="account:limit:reached").details == {"limit": "export"}
