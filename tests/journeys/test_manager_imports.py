"""A manager brings in thirty people from a file; one of them, in Dutch, comes as far as ready."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from accounts.actions import invitations
from accounts.models import Invitation, Mail, User
from tests.journeys import people
from tests.journeys.running import Portal
from tests.journeys.steps import dutch, make_key
from tests.journeys.test_doctor_becomes_ready import PASSWORD, account, connect, finance, register
from tests.journeys.visitor import Visitor
from tests.practitioners.sheets import HEADING, as_csv, as_xlsx, person

pytestmark = pytest.mark.browser
Visitors = Callable[..., Visitor]
PEOPLE = 30
# Line of the file → column, what is wrong there, and words of the sentence that says so.
MISTAKES: dict[int, tuple[str, Any, str, str]] = {
    4: ("ssin", "82110297685", "Numéro National", "chiffres de contrôle"),
    8: ("email", "anne@nulle", "E-mail", "@"),
    11: ("profession", "astronaute", "Profession", "pas connu"),
    15: ("roles", "admin", "Rôle", "pas le droit"),
    20: ("nihii", "1.99016E+10", "Numéro INAMI", "abrégé"),
    27: ("login", "", "Login", ""),
}


def rows() -> list[list[Any]]:
    """Thirty right lines; the first is a doctor who reads Dutch."""
    first = person(400, language="nl", first_name="Jan", last_name="Peeters")
    return [list(HEADING), first, *(person(401 + number) for number in range(PEOPLE - 1))]


def with_mistakes() -> list[list[Any]]:
    wrong = rows()
    for line, (column, value, _label, _words) in MISTAKES.items():
        wrong[line - 1] = person(400 + line - 2, **{column: value})
    return wrong


def test_thirty_people_come_in_once_and_one_of_them_becomes_ready(
    portal: Portal, visitor: Visitors, tmp_path: Path
) -> None:
    boss = people.manager(portal)
    manager = visitor(boss)
    see_every_mistake(portal, manager, boss)
    bring_in(portal, manager, boss)
    bring_in_again(portal, manager, boss)
    with portal.inside():
        jan = User.objects.select_related("practitioner").get(login=rows()[1][2])
        trousseau_of = (jan.practitioner.ssin, jan.practitioner.nihii)
        link = invitations.link(Invitation.objects.get(user=jan))
    ssin, nihii = trousseau_of
    portal.simulator.add_person(ssin, first_name="Jan", last_name="Peeters", nihii11=nihii)
    trousseau = portal.simulator.keystore(ssin, "two-keys-enc-first", people.KEYSTORE_PASSWORD)
    doctor = visitor()
    accept(doctor, link)
    make_key(doctor, tmp_path, say=dutch)
    review(doctor, jan)
    doctor.press(re.compile("Français", re.IGNORECASE))
    account(doctor)
    connect(doctor, trousseau)
    register(doctor)
    finance(doctor)
    follows(manager)


def send(manager: Visitor, name: str, data: bytes) -> None:
    manager.open("/people/")
    manager.follow("Importer plusieurs personnes")
    manager.give("file", name, data)
    manager.press("Vérifier le fichier")


def created(portal: Portal, boss: User) -> int:
    with portal.inside():
        return User.objects.filter(practice=boss.practice).exclude(pk=boss.pk).count()


def see_every_mistake(portal: Portal, manager: Visitor, boss: User) -> None:
    """Six, each by line and column; nobody is created."""
    send(manager, "personnes.csv", as_csv(with_mistakes()))
    manager.sees("Rien n'a été créé")
    manager.look("60-import-mistakes")
    lines = manager.page.locator("main table", has_text="endroits à corriger").locator("tbody tr")
    assert lines.count() == len(MISTAKES)
    shown = zip(lines.all_inner_texts(), sorted(MISTAKES.items()), strict=True)
    for text, (line, (_column, value, label, words)) in shown:
        assert text.startswith(str(line)) and label in text and words in text, text
        assert "82110297685" not in text
        assert value in text or label.startswith("Numéro")
    assert created(portal, boss) == 0


def bring_in(portal: Portal, manager: Visitor, boss: User) -> None:
    """The right file: a preview, one button, the worker, thirty invitations."""
    send(manager, "personnes.xlsx", as_xlsx(rows()))
    manager.sees("Le fichier est juste")
    manager.look("61-import-preview")
    assert created(portal, boss) == 0
    manager.press(f"Importer {PEOPLE} personnes")
    manager.sees("Tout le monde est créé et invité")
    manager.look("62-import-done")
    assert created(portal, boss) == PEOPLE
    assert portal.outcome(lambda: invited(boss)) == PEOPLE


def invited(boss: User) -> int:
    """People of the practice to whom an invitation has left; each had exactly one."""
    mails = Mail.objects.filter(user__practice=boss.practice, kind="invitation")
    sent = mails.filter(sent_at__isnull=False)
    assert mails.count() <= PEOPLE
    return sent.values("user").distinct().count() if sent.count() == PEOPLE else 0


def bring_in_again(portal: Portal, manager: Visitor, boss: User) -> None:
    """A workbook is never the same bytes twice: the people of it are known. The very same file is, too."""
    manager.open("/people/")
    data = as_csv([list(HEADING), person(440)])
    for _time in range(2):
        send(manager, "encore.csv", data)
        if manager.page.get_by_role("button", name="Importer 1 personne").count():
            manager.press("Importer 1 personne")
            manager.sees("Tout le monde est créé et invité")
    manager.sees("Ce fichier est déjà importé")
    manager.sees(f"par {boss.get_full_name()}")
    manager.look("63-import-again")
    assert created(portal, boss) == PEOPLE + 1


def accept(doctor: Visitor, link: str) -> None:
    """The invitation, in Dutch."""
    doctor.open(link)
    doctor.press(re.compile("Nederlands"))
    assert doctor.page.locator("html").get_attribute("lang") == "nl"
    doctor.fill(password1=PASSWORD, password2=PASSWORD)
    doctor.press(dutch("Ouvrir mon compte"))


def review(doctor: Visitor, jan: User) -> None:
    """What the manager filled in waits to be confirmed: numbers, then the workplace."""
    doctor.sees(dutch("À vérifier, car rempli par quelqu'un d'autre"))
    doctor.look("64-to-review")
    doctor.follow(dutch("Informations générales"))
    assert doctor.value("nihii").replace("-", "") == jan.practitioner.nihii
    doctor.choose(civility="dr")
    doctor.press(dutch("Modifier l'intervenant"))
    doctor.heading(dutch("Ma configuration"))
    doctor.follow(dutch("Adresses"))
    assert doctor.value("address__0__telecom__0__value").replace(" ", "").endswith("123400")
    doctor.fill(
        address__0__street="Stationsstraat", address__0__number="7", address__0__postcode="3000",
        address__0__city="Leuven",
    )  # fmt: skip
    doctor.page.locator("button[name=add][value=telecom-0]").click()
    doctor.choose(address__0__telecom__1__type="email")
    doctor.fill(address__0__telecom__1__value="praktijk@parc.example")
    doctor.press(dutch("Modifier l'intervenant"))
    doctor.heading(dutch("Ma configuration"))


def follows(manager: Visitor) -> None:
    """The manager's list says who accepted and who is ready."""
    manager.open("/people/")
    line = manager.page.locator("main tbody tr", has_text="Jan Peeters")
    assert "acceptée le" in line.inner_text()
    assert "Prêt" in line.inner_text()
    manager.look("65-people-after")
