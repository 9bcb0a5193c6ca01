"""Many people from one file: right ones whole, wrong ones not at all, every mistake named."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from accounts.access import Forbidden
from accounts.models import AuditEvent, Invitation, Mail, RoleGrant, User
from practitioners import imports
from practitioners.import_check import check
from practitioners.models import Address, PeopleImport, Practitioner
from practitioners.spreadsheets import LARGEST_FILE, Template, Unreadable, read, template_csv
from tests.accounts.factories import PracticeFactory, UserFactory
from tests.client import CheckingClient
from tests.practitioners.factories import PractitionerFactory, nihii
from tests.practitioners.sheets import (
    HEADING,
    as_csv,
    as_xlsx,
    people,
    person,
    sheet_xml,
    with_part,
)

pytestmark = pytest.mark.django_db
SignedIn = Callable[[User], CheckingClient]
URL = "/people/import/"
SHEET = "xl/worksheets/sheet1.xml"


def manager(**facts: Any) -> User:
    return UserFactory(**{"roles": ["user_manager"]} | facts)


def send(client: CheckingClient, data: bytes, name: str = "personnes.csv") -> Any:
    return client.post(URL, {"file": SimpleUploadedFile(name, data)})


def counts() -> tuple[int, ...]:
    tables = (User, Practitioner, RoleGrant, Invitation, Mail, PeopleImport)
    return tuple(table.objects.count() for table in tables)


def batch_of(response: Any) -> PeopleImport:
    assert response.status_code == 302, response.content.decode()[:3000]
    return PeopleImport.objects.get(uuid=response.headers["Location"].rstrip("/").split("/")[-1])


def confirmed(by: User, data: bytes) -> PeopleImport:
    """An import that waits for a worker."""
    now = timezone.now()
    found = check(read(data), by)
    assert not found.problems
    row = imports.propose(by=by, digest=hashlib.sha256(data).hexdigest(), people=found.people, now=now)
    assert imports.confirm(row=row, by=by, now=now)
    row.refresh_from_db()
    return row


def done(by: User, data: bytes) -> PeopleImport:
    row = confirmed(by, data)
    imports.create(pk=row.pk, now=timezone.now())
    imports.invite(pk=row.pk, now=timezone.now())
    row.refresh_from_db()
    return row


# --- hostile files ---------------------------------------------------------------------------
def one(**values: Any) -> list[list[Any]]:
    return [list(HEADING), person(0), person(1, **values)]


def heading(*names: str) -> bytes:
    return as_csv([list(names), ["x"] * len(names)])


BOMB = with_part(as_xlsx(people(1)), "xl/media/a.bin", b"\0" * (9 * 1024 * 1024))
LAUGHS = '<!DOCTYPE l [<!ENTITY a "haha"><!ENTITY b "&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;">]>'
OUTSIDE = '<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
FAR = '<row r="1048576"><c r="A1048576"><v>1</v></c></row>'
CELL = '<row r="1"><c r="A1" t="inlineStr"><is><t>{}</t></is></c></row>'
FILES: dict[str, bytes] = {
    "nothing": b"",
    "blank": b" \r\n\t\r\n",
    "only a mark": b"\xef\xbb\xbf",
    "too large": b"a" * (LARGEST_FILE + 1),
    "far too large": b"a" * (2 * LARGEST_FILE),
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    "UTF-16": as_csv(people(1), encoding="utf-16"),
    "a NUL": as_csv(people(1)).replace(b"Anne", b"An\0ne"),
    "bytes of no code page": as_csv(people(1)).replace(b"Anne", b"An\x81\xffne"),
    "an open quote": as_csv(people(1)) + b'"Martin;Anne',
    "text after a quote": as_csv(people(1)) + b'"Mar"tin;Anne',
    "an old Excel file": b"\xd0\xcf\x11\xe0" + b"\0" * 600,
    "a cut archive": as_xlsx(people(2))[:900],
    "an archive of nothing": b"PK\x03\x04" + b"\0" * 90,
    "an archive without a workbook": with_part(as_xlsx(people(1)), "xl/workbook.xml", b"", replace=True),
    "a damaged sheet": with_part(as_xlsx(people(1)), SHEET, b"<worksheet", replace=True),
    "macros": with_part(as_xlsx(people(1)), "xl/vbaProject.bin", b"x"),
    "a bomb": BOMB,
    "many laughs": with_part(
        as_xlsx(people(1)), SHEET, sheet_xml(CELL.format("&c;"), LAUGHS), replace=True
    ),
    "a foreign entity": with_part(
        as_xlsx(people(1)), SHEET, sheet_xml(CELL.format("&a;"), OUTSIDE), replace=True
    ),
    "two sheets": as_xlsx(people(1), people(2)),
    "an empty sheet": as_xlsx([]),
    "a far row": with_part(
        as_xlsx(people(1)), SHEET, sheet_xml(FAR), replace=True
    ),
    "501 people": as_csv([list(HEADING), *[person(n % 600) for n in range(501)]]),
    "6000 blank lines": as_csv(people(1)) + b"\r\n" * 6000 + as_csv([person(3)]),
    "41 columns": as_csv([[*HEADING, *"x" * 31], [*person(1), *"y" * 31]]),
    "no heading": as_csv([person(1)]),
    "heading only": as_csv([HEADING]),
    "a column of passwords": heading(*HEADING, "Mot de passe"),
    "a column of rights": heading(*HEADING, "is_staff"),
    "a column twice": heading(*HEADING, "nom"),
    "a column too few": heading(*HEADING[:3]),
    "spaces instead of signs": b"Nom Pr\xc3\xa9nom Login\r\nMartin Anne anne\r\n",
    "cell without a title": as_csv([list(HEADING), [*person(1), "", "surplus"]]),
    "a long cell": as_csv(one(first_name="A" * 1001)),
    "a formula": as_csv(one(first_name="=1+1")),
    "a full-width formula": as_csv(one(first_name="＝cmd|' /C calc'!A0")),
    "a command": as_csv(one(last_name="@SUM(1)")),
    "a formula of a sheet": as_xlsx(one(first_name='=HYPERLINK("http://example.be")')),
    "an error of a sheet": as_xlsx(one(first_name="#REF!")),
    "a script": as_csv(one(last_name="<script>alert(1)</script>")),
    "a number that was abridged": as_csv(one(ssin="8,2110297684E+10")),
    "a zero that was lost": as_xlsx(one(mobile=470123456)),
    "a date": as_xlsx(one(login=timezone.now().date())),
    "a wrong national number": as_csv(one(ssin="82110297685")),
    "a wrong INAMI number": as_csv(one(nihii="19990117003")),
    "no login": as_csv(one(login="")),
    "no first name": as_csv(one(first_name="")),
    "a reserved login": as_csv(one(login="accueil")),
    "an invisible login": as_csv(one(login="an\u200bne-martin")),
    "a broken address": as_csv(one(email="anne@nulle")),
    "two addresses": as_csv(one(email="a@b.example,c@d.example")),
    "no role": as_csv(one(roles="")),
    "an unknown role": as_csv(one(roles="roi")),
    "an administrator": as_csv(one(roles="admin")),
    "a user manager among others": as_csv(one(roles="physician/user_manager")),
    "the helpdesk": as_csv(one(roles="support")),
    "an unknown profession": as_csv(one(profession="astronaute")),
    "a house": as_csv(one(profession="orgprimaryhealthcarecenter")),
    "an unknown language": as_csv(one(language="klingon")),
    "a wrong telephone": as_csv(one(mobile="0470 12")),
    "one login twice": as_csv(one(login=person(0)[2].upper())),
    "one address twice": as_csv(one(email=person(0)[3].upper())),
    "a login that is another's address": as_csv(one(login="x@import.example", email="y@import.example"))
    + as_csv([person(2, login="y@import.example")]),
    "one INAMI number twice": as_csv(one(nihii=person(0)[8][:8] + "004")),
    "one national number twice": as_csv(one(ssin=person(0)[7])),
    "a login of somebody": as_csv(one(login="TAKEN@import.example")),
    "an address of somebody": as_csv(one(email="taken@import.example")),
    "an address that is somebody's login": as_csv(one(email="someone@import.example")),
    "an INAMI number of a colleague": as_csv(one(nihii=nihii(77))),
}  # fmt: skip


AT_THE_TOP = {
    "no heading", "heading only", "a column of passwords", "a column of rights", "a column twice",
    "a column too few", "spaces instead of signs", "cell without a title",
}  # fmt: skip


@pytest.mark.parametrize("kind", FILES)
def test_a_file_with_a_mistake_creates_nobody_and_says_why(signed_in: SignedIn, kind: str) -> None:
    by = manager()
    UserFactory(login="taken@import.example")
    UserFactory(login="someone@import.example", email="other@import.example")
    PractitionerFactory(user__practice=by.practice, nihii=nihii(77))
    client, before = signed_in(by), counts()
    response = send(client, FILES[kind])
    assert response.status_code == 422
    page = response.content.decode()
    assert "Rien n'a été créé" in page or 'class="field-error"' in page
    assert counts() == before
    for problem in response.context.get("problems", []):
        assert (problem.line in (3, 4)) != (kind in AT_THE_TOP), problem
    assert person(1)[7] not in page and person(1)[8] not in page, "numbers are masked"
    assert "<script>alert" not in page


def test_there_are_forty_hostile_files_and_each_is_refused_for_itself() -> None:
    assert len(FILES) >= 40
    for name in ("UTF-16", "many laughs", "a foreign entity", "a bomb", "two sheets"):
        with pytest.raises(Unreadable):
            read(FILES[name])


# --- right files -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    "data",
    [
        as_csv(people(3)),
        as_csv(people(3), ","),
        as_csv(people(3), "\t"),
        as_csv(people(3), encoding="utf-8-sig"),
        as_csv(people(3), encoding="cp1252"),
        as_csv(people(3)).replace(b"\r\n", b"\r\n\r\n"),
        as_xlsx(people(3)),
        as_xlsx(people(3), []),
        as_xlsx([list(HEADING), *[person(n, ssin=int(person(n)[7])) for n in range(3)]]),
    ],
    ids=["semicolon", "comma", "tab", "mark", "cp1252", "blank lines", "xlsx", "empty sheet", "numbers"],
)
def test_every_usual_file_is_read_alike(signed_in: SignedIn, data: bytes) -> None:
    client = signed_in(manager())
    row = batch_of(send(client, data))
    assert (row.state, row.count) == ("checked", 3)
    page = client.get(f"{URL}{row.uuid}/").content.decode()
    assert "Importer 3 personnes" in page and person(2)[2] in page
    assert User.objects.filter(login__endswith="@import.example").count() == 0


def test_headings_and_words_of_any_language_are_known() -> None:
    rows = [
        ["Naam", "Voornaam", "Login", "E-mail", "Taal", "Rol", "Beroep"],
        ["Peeters", "Jan", "jan@import.example", "jan@import.example", "Nederlands", "Arts", "Arts"],
        [
            "Maes",
            "An",
            "an@import.example",
            "an@import.example",
            "",
            "Onthaalmedewerker",
            "persadministrative",
        ],
    ]
    found = check(read(as_csv(rows)), manager())
    if found.problems:  # the words of the catalogue, whatever they are
        raise AssertionError(found.problems)
    assert [one.values["language"] for one in found.people] == ["nl", "fr"]
    assert [one.values["roles"] for one in found.people] == [["physician"], ["reception"]]


def test_a_heading_without_its_accents_is_known() -> None:
    rows = [
        ["NOM", "prenom", "login", "e-mail", "langue", "role", "profession"],
        ["Peeters", "Jan", "jan@import.example", "jan@import.example", "neerlandais", "medecin", "medecin"],
    ]
    (one,) = check(read(as_csv(rows)), manager()).people
    assert (one.values["first_name"], one.values["language"], one.values["roles"]) == (
        "Jan",
        "nl",
        ["physician"],
    )


@pytest.mark.parametrize("language", ["fr", "nl", "de", "en"])
def test_the_template_is_taken_back_in_each_language(signed_in: SignedIn, language: str) -> None:
    client = signed_in(manager(language=language))
    for kind in ("csv", "xlsx"):
        lines = read(client.get(f"{URL}template/{kind}/").content)
        filled = [[cell.text for cell in lines[0].cells], person(1)]
        assert not check(read(as_csv(filled)), manager()).problems
    assert client.get(f"{URL}template/exe/").status_code == 404
    assert read(template_csv(["a"])) == read(Template(["a"]).content())


def test_people_are_created_like_one_by_one_and_invited_by_a_job(signed_in: SignedIn) -> None:
    by = manager()
    row = done(
        by, as_csv([*people(2), person(2, roles="reception", profession="persadministrative", nihii="")])
    )
    assert (row.state, row.content, row.people.count()) == ("done", None, 3)
    user = User.objects.get(login=person(0)[2])
    assert not user.has_usable_password() and user.created_by == by and user.roles() == {"physician"}
    card = user.practitioner
    assert (card.nihii, card.ssin) == (person(0)[8], person(0)[7])
    assert (card.speciality, card.training_status) == ("general_practice", "recognised")
    assert list(Address.objects.get(practitioner=card).telecoms.values_list("type", "value")) == [
        ("mobile", "+32470123400")
    ]
    assert user.licence.state == "provisional"
    assert Invitation.objects.filter(user__in=row.people.all()).count() == 3
    assert Mail.objects.filter(kind="invitation").count() == 3
    event = AuditEvent.objects.get(kind="practitioner:import:finished")
    assert event.details == {"count": 3} and event.actor == by.uuid
    page = signed_in(by).get(f"{URL}{row.uuid}/").content.decode()
    assert "Tout le monde est créé et invité" in page and user.get_full_name() in page


def test_the_pages_lead_from_the_file_to_the_list(signed_in: SignedIn) -> None:
    by = manager()
    client = signed_in(by)
    row = batch_of(send(client, as_csv(people(2))))
    assert client.post(f"{URL}{row.uuid}/").status_code == 302
    assert "data-refresh-url" in client.get(f"{URL}{row.uuid}/").content.decode()
    imports.create(pk=row.pk, now=timezone.now())
    assert "0 sur 2" in client.get(f"{URL}{row.uuid}/state/").content.decode()
    imports.invite(pk=row.pk, now=timezone.now())
    assert "data-refresh-url" not in client.get(f"{URL}{row.uuid}/state/").content.decode()


def test_the_password_is_asked_again_before_people_are_created(signed_in: SignedIn) -> None:
    client = signed_in(manager())
    row = batch_of(send(client, as_csv(people(2))))
    session = client.session
    session["account_authentication_methods"] = [{"method": "password", "at": 0}]
    session.save()
    assert "/signin/" in client.post(f"{URL}{row.uuid}/").headers["Location"]
    row.refresh_from_db()
    assert row.state == "checked"


def test_what_waits_is_sealed() -> None:
    row = confirmed(manager(), as_csv(people(2)))
    assert row.content and person(0)[7].encode() not in bytes(row.content)
    assert b"import.example" not in bytes(row.content)


# --- the same again --------------------------------------------------------------------------
def test_the_same_file_says_when_and_by_whom_and_doubles_nothing(signed_in: SignedIn) -> None:
    by, data = manager(), as_csv(people(3))
    row = done(by, data)
    client = signed_in(UserFactory(practice=by.practice, roles=["admin"]))
    before = counts()
    response = client.post(URL, {"file": SimpleUploadedFile("x.csv", data)}, follow=True)
    page = response.content.decode()
    assert response.redirect_chain[-1][0] == f"{URL}{row.uuid}/"
    assert "déjà importé" in page and by.get_full_name() in page
    assert counts() == before


def test_two_confirmations_of_one_file_make_one_import() -> None:
    by, data = manager(), as_csv(people(2))
    found = check(read(data), by)
    rows = [
        imports.propose(by=who, digest="a" * 64, people=found.people, now=timezone.now())
        for who in (by, manager(practice=by.practice))
    ]
    assert imports.confirm(row=rows[0], by=rows[0].by, now=timezone.now())
    assert not imports.confirm(row=rows[0], by=rows[0].by, now=timezone.now())
    with pytest.raises(imports.AlreadyImported):
        imports.confirm(row=rows[1], by=rows[1].by, now=timezone.now())


def test_another_practice_sees_and_meets_nothing_of_it(signed_in: SignedIn) -> None:
    row = done(manager(), as_csv(people(2)))
    client = signed_in(manager())
    for path in (f"{URL}{row.uuid}/", f"{URL}{row.uuid}/state/"):
        assert client.get(path).status_code == 404
    data = as_csv([list(HEADING), person(9)])
    done(manager(), data)
    assert "déjà" in send(client, data).content.decode(), "refused line by line, not as a file known"


# --- interrupted -----------------------------------------------------------------------------
def test_a_name_taken_meanwhile_leaves_nobody_and_names_the_line(signed_in: SignedIn) -> None:
    by = manager()
    row = confirmed(by, as_csv(people(3)))
    UserFactory(login=person(1)[2])
    before = counts()[:4]
    imports.create(pk=row.pk, now=timezone.now())
    row.refresh_from_db()
    assert counts()[:4] == before
    assert (row.state, row.content, row.refusal, row.refused_line) == ("failed", None, "LoginTaken", 3)
    page = signed_in(by).get(f"{URL}{row.uuid}/").content.decode()
    assert "Ligne 3" in page and "déjà pris" in page
    again = as_csv([list(HEADING), person(0)])
    assert done(by, again).state == "done"


def test_rights_lost_meanwhile_create_nobody() -> None:
    for change in ({"is_active": False, "deactivated_at": timezone.now()}, {}):
        by = manager()
        row = confirmed(by, as_csv(people(2)))
        User.objects.filter(pk=by.pk).update(**change or {"is_active": True})
        RoleGrant.objects.filter(user=by).exclude(user__is_active=False).delete()
        imports.create(pk=row.pk, now=timezone.now())
        row.refresh_from_db()
        assert (row.state, row.refusal, row.people.count()) == ("failed", "Forbidden", 0)


class Killed(BaseException):
    """What a worker that dies looks like from inside."""


def test_a_worker_that_dies_leaves_nothing_half_done_and_is_taken_up_again(
    django_capture_on_commit_callbacks: Any,
) -> None:
    by = manager()
    row = confirmed(by, as_csv(people(3)))
    before = counts()[:4]
    made = User._meta.get_field("login")
    assert made
    from django.db.models.signals import post_save

    def die(sender: type, instance: Any, created: bool, **_: Any) -> None:
        if created and instance.login == person(2)[2]:
            raise Killed

    post_save.connect(die, sender=User)
    try:
        with pytest.raises(Killed):
            imports.create(pk=row.pk, now=timezone.now())
    finally:
        post_save.disconnect(die, sender=User)
    row.refresh_from_db()
    assert counts()[:4] == before and (row.state, row.attempts) == ("queued", 1)
    later = timezone.now() + timedelta(minutes=1)
    imports.create(pk=row.pk, now=later)
    imports.create(pk=row.pk, now=later)
    imports.invite(pk=row.pk, now=later)
    imports.invite(pk=row.pk, now=later)
    row.refresh_from_db()
    assert (row.state, row.people.count()) == ("done", 3)
    assert Invitation.objects.filter(user__in=row.people.all()).count() == 3


def test_an_import_that_kills_every_worker_is_given_up() -> None:
    row = confirmed(manager(), as_csv(people(2)))
    PeopleImport.objects.filter(pk=row.pk).update(attempts=imports.MOST_ATTEMPTS)
    imports.create(pk=row.pk, now=timezone.now())
    row.refresh_from_db()
    assert (row.state, row.refusal, row.content) == ("failed", "interrupted", None)


def test_the_sweep_forgets_what_nobody_confirmed() -> None:
    by, now = manager(), timezone.now()
    found = check(read(as_csv(people(2))), by)
    imports.propose(by=by, digest="b" * 64, people=found.people, now=now)
    imports.sweep(now=now + timedelta(minutes=59))
    assert PeopleImport.objects.count() == 1
    imports.sweep(now=now + timedelta(minutes=61))
    assert PeopleImport.objects.count() == 0


# --- rights ----------------------------------------------------------------------------------
def test_only_who_may_create_imports(signed_in: SignedIn) -> None:
    client = signed_in(UserFactory(roles=["physician"], practice=PracticeFactory()))
    assert client.get(URL).status_code == 403
    assert send(client, as_csv(people(1))).status_code == 403
    with pytest.raises(Forbidden):
        imports.propose(by=UserFactory(roles=["physician"]), digest="c", people=[], now=timezone.now())


def test_a_preview_is_its_makers_alone(signed_in: SignedIn) -> None:
    by = manager()
    row = batch_of(send(signed_in(by), as_csv(people(1))))
    other = UserFactory(practice=by.practice, roles=["admin"])
    assert signed_in(other).post(f"{URL}{row.uuid}/").status_code == 404
    with pytest.raises(Forbidden):
        imports.confirm(row=row, by=other, now=timezone.now())


def test_an_administrator_may_bring_in_an_administrator() -> None:
    found = check(read(as_csv(one(roles="admin/physician"))), UserFactory(roles=["admin"]))
    assert not found.problems and set(found.people[1].values["roles"]) == {"admin", "physician"}
