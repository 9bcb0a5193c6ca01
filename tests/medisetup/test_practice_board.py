"""« Mon cabinet »: who must act, filters kept in the address, reminders in moderation, safe files."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import BytesIO

import pytest
from django.db import connections
from django.urls import reverse
from django.utils import timezone, translation
from openpyxl import load_workbook

from accounts import emails
from accounts.access import Forbidden, visible_users
from accounts.actions import invitations
from accounts.models import AuditEvent, Mail, SectionReview, User
from billing.models import FinancialSettings
from medisetup import reminders
from medisetup.practice_board import ACTORS, OWNER, PLATFORM, BoardFilter, board, totals
from medisetup.readiness import items
from medisetup.sheets import neutral
from tests.accounts.factories import PracticeFactory, UserFactory
from tests.cast import ready_doctor
from tests.client import CheckingClient
from tests.ehealth.factories import KeystoreFactory
from tests.practitioners.factories import PractitionerFactory

Open = Callable[[User], CheckingClient]


@pytest.fixture
def manager(db: None) -> User:
    user: User = UserFactory(roles=["admin"], last_name="Aaronson", first_name="Zoë")
    return user


def doctor(manager: User, **facts: object) -> User:
    user: User = PractitionerFactory(user__practice=manager.practice, **facts).user
    return user


def acts(user: User) -> str:
    (row,) = board(User.objects.get_queryset().filter(pk=user.pk), timezone.now())
    return row.acts


def waiting_trainee(manager: User) -> User:
    """Everything is there but the financial data of the supervisor."""
    supervisor = PractitionerFactory(user__practice=manager.practice)
    trainee = ready_doctor(trainee=True, user__practice=manager.practice)
    FinancialSettings.objects.filter(practitioner__user=trainee).update(
        supervisor=supervisor, iban="", bic="", bic_source="", bce=""
    )
    KeystoreFactory(user=trainee)
    return trainee


def test_a_trainee_who_has_done_everything_waits_for_a_colleague(manager: User) -> None:
    assert acts(waiting_trainee(manager)) == "colleague"
    assert names(manager, acts="colleague") and not names(manager, acts="platform")


def names(manager: User, **query: str) -> list[str]:
    found = BoardFilter(query).apply(board(visible_users(manager), timezone.now()))
    return [row.user.last_name for row in found]


def test_who_moves_first_follows_from_what_is_missing(manager: User) -> None:
    invited = UserFactory(practice=manager.practice, invited=True, key=False)
    assert acts(invited) == "manager", "the invitation is void or was never sent"
    invitations.send(user=invited, by=manager, now=timezone.now())
    assert acts(invited) == "owner"
    assert acts(doctor(manager)) == "owner", "key and keystore are the owner's"
    found = totals(board(visible_users(manager), timezone.now()))
    assert found["all"] == 3 and sum(found[name] for name in ACTORS) == 3


def test_an_address_not_verified_waits_for_its_owner_who_can_be_reminded(manager: User) -> None:
    user = ready_doctor(user__practice=manager.practice, user__verified=False)
    KeystoreFactory(user=user)
    (row,) = board(User.objects.get_queryset().filter(pk=user.pk), timezone.now())
    assert (row.acts, row.next_title) == ("owner", "Vérifier l'adresse e-mail")
    assert reminders.remind(user=user, by=manager, now=timezone.now())
    assert "Vérifier votre adresse e-mail" in emails.open_content(Mail.objects.get(user=user)).text


def test_an_expired_invitation_is_sent_again_from_the_row(manager: User, signed_in: Open) -> None:
    invited = UserFactory(practice=manager.practice, invited=True, key=False)
    url, client = reverse("people"), signed_in(manager)
    page = client.get(url).content.decode()
    assert page.count("Envoyer une invitation") == 2, "as the next step, and as a button"
    invitations.send(user=invited, by=manager, now=timezone.now() - timedelta(days=4))
    page = client.get(url, {"acts": "manager"}).content.decode()
    assert "Invitation expirée : la renvoyer" in page and "Renvoyer l’invitation" in page
    here = f"{url}?acts=manager"
    assert f'name="next" value="{here}"' in page
    again = reverse("accounts:invite", args=[invited.uuid])
    assert client.post(again, {"next": here}).headers["Location"] == here
    assert acts(invited) == "owner"
    page = client.get(url).content.decode()
    assert "Répondre à l&#x27;invitation" in page and "Renvoyer l’invitation" not in page
    elsewhere = client.post(again, {"next": "https://example.org/"}).headers["Location"]
    assert elsewhere == reverse("person", args=[invited.uuid])


# Words that speak to the reader.
SPOKEN_TO = {
    "fr": r"\b(vous|votre|vos)\b",
    "nl": r"\b(u|uw)\b",
    "de": r"\b(Sie|Ihr\w*|Ihnen)\b",
    "en": r"\b(you|your)\b",
}


@pytest.mark.parametrize("language", SPOKEN_TO)
def test_items_do_not_speak_to_a_manager_as_to_their_owner(language: str) -> None:
    with translation.override(language):
        for item in items():
            for text in (str(item.neutral), str(item.unlocks)):
                flags = 0 if language == "de" else re.IGNORECASE
                assert not re.search(SPOKEN_TO[language], text, flags), (item.id, text)


def test_whoever_else_reads_is_shown_neutral_titles(manager: User, signed_in: Open) -> None:
    other, staff = doctor(manager), UserFactory(is_staff=True)
    client = signed_in(manager)
    for page in (
        client.get(reverse("people")),
        client.get(reverse("people_export", args=["csv"])),
        client.get(reverse("person", args=[other.uuid])),
        signed_in(staff).get(reverse("platform")),
        signed_in(staff).get(reverse("platform_practice", args=[manager.practice.uuid])),
        signed_in(staff).get(reverse("platform_person", args=[other.uuid])),
    ):
        text = html.unescape(page.content.decode())
        assert "Se connecter à eHealth" in text
        assert not [item.title for item in items() if item.title != item.neutral and str(item.title) in text]
    assert "Vous connecter à eHealth" in signed_in(other).get("/").content.decode()


def test_the_filter_narrows_orders_and_reads_accents_and_case(manager: User) -> None:
    doctor(manager, user__last_name="Lefèvre", user__created_at=None)
    doctor(manager, user__last_name="Zola")
    assert names(manager) == ["Aaronson", "Lefèvre", "Zola"]
    assert names(manager, search="LEFEVRE") == ["Lefèvre"]
    assert names(manager, search="zoe aar") == ["Aaronson"]
    assert names(manager, role="admin") == ["Aaronson"]
    assert "Zola" in names(manager, state="missing") and names(manager, state="ready") == []
    assert names(manager, state="x", acts="y", item="z", role="?", order="q") == [
        "Aaronson",
        "Lefèvre",
        "Zola",
    ]
    User.objects.get_queryset().filter(last_name="Zola").update(
        activated_at=timezone.now() - timedelta(days=400)
    )
    assert names(manager, order="waiting")[0] == "Zola"


def test_every_row_has_a_word_for_every_item(manager: User) -> None:
    doctor(manager)
    for row in board(visible_users(manager), timezone.now()):
        assert len(row.cells) == len(items()) and all(cell.text for cell in row.cells)


def test_the_page_keeps_the_filter_and_masks_what_it_must(manager: User, signed_in: Open) -> None:
    other = doctor(manager)
    page = signed_in(manager).get(reverse("people"), {"state": "missing", "search": other.last_name})
    html = page.content.decode()
    assert "state=missing" in html and 'class="cell cell--' in html
    assert other.practitioner.ssin not in html and other.practitioner.nihii not in html


# --- reminders --------------------------------------------------------------------------------
def test_a_reminder_names_what_is_missing_in_the_persons_language_once_in_three_days(
    manager: User, signed_in: Open
) -> None:
    other = doctor(manager, user__language="nl")
    client, url = signed_in(manager), reverse("remind", args=[other.uuid])
    first = client.post(url, {"state": "missing"}, follow=True)
    assert "Un rappel part vers" in first.content.decode()
    assert first.redirect_chain[0][0].endswith("?state=missing")
    assert "le prochain est possible à partir du" in client.post(url, follow=True).content.decode()
    mail = Mail.objects.get(kind="reminder", user=other)
    text = emails.open_content(mail).text
    assert "configuratie" in text and "eHealth" in text and "http" in text
    assert "tweede factor" not in text, "what is only recommended keeps nobody from being ready"
    assert AuditEvent.objects.filter(kind="account:reminder:sent", subject=other.uuid).count() == 1


def test_all_who_must_act_are_written_to_and_nobody_else(manager: User) -> None:
    mine = {doctor(manager).pk for _ in range(3)}
    UserFactory(practice=manager.practice, invited=True, key=False)
    doctor(manager, user__is_active=False, user__deactivated_at=timezone.now())
    PractitionerFactory()
    assert reminders.remind_all(by=manager, shown=BoardFilter({}), now=timezone.now()) == 3
    assert set(Mail.objects.filter(kind="reminder").values_list("user", flat=True)) == mine
    assert reminders.remind_all(by=manager, shown=BoardFilter({}), now=timezone.now()) == 0


def test_a_reminder_to_all_follows_the_filter(manager: User, signed_in: Open) -> None:
    chosen = doctor(manager, user__last_name="Vandenbossche")
    doctor(manager, user__last_name="Lambert")
    said = signed_in(manager).post(reverse("remind_all"), {"search": "vandenb"}, follow=True)
    assert said.redirect_chain[0][0].endswith("?search=vandenb")
    assert list(Mail.objects.filter(kind="reminder").values_list("user", flat=True)) == [chosen.pk]


def test_nobody_is_asked_to_remind_oneself(manager: User, signed_in: Open) -> None:
    SectionReview.objects.create(
        user=manager, section="account", prefilled_by=manager, prefilled_at=timezone.now()
    )
    client, own = signed_in(manager), reverse("remind", args=[manager.uuid])
    assert own not in client.get(reverse("people")).content.decode()
    assert not reminders.remind(user=manager, by=manager, now=timezone.now())
    said = client.post(reverse("remind_all"), follow=True).content.decode()
    assert "Aucun rappel n&#x27;est parti" in said and "0 rappel" not in said


def test_only_who_sees_readiness_reminds(manager: User, signed_in: Open) -> None:
    other, stranger = doctor(manager), UserFactory(roles=["admin"])
    colleague = doctor(manager)
    with pytest.raises(Forbidden):
        reminders.remind(user=other, by=colleague, now=timezone.now())
    assert not reminders.remind(user=other, by=stranger, now=timezone.now())
    assert signed_in(stranger).post(reverse("remind", args=[other.uuid])).status_code == 404
    assert signed_in(colleague).post(reverse("remind_all")).status_code == 403
    assert not Mail.objects.filter(kind="reminder").exists()


@pytest.mark.django_db(transaction=True)
def test_clicks_at_once_send_one_mail() -> None:
    manager = UserFactory(roles=["admin"])
    other = doctor(manager)

    def click(_number: int) -> bool:
        try:
            return reminders.remind(user=other, by=manager, now=timezone.now())
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(click, range(6))) == 1
    assert Mail.objects.filter(kind="reminder").count() == 1


# --- files ------------------------------------------------------------------------------------
@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠"])
def test_no_cell_is_a_formula(start: str) -> None:
    assert neutral(f"{start}1+1") == f"'{start}1+1"
    assert neutral("Dupont") == "Dupont"


def test_the_board_is_saved_as_csv_and_xlsx_with_the_filter(manager: User, signed_in: Open) -> None:
    doctor(manager, user__last_name="=HYPERLINK(1)")
    doctor(manager, user__last_name="Zola")
    client = signed_in(manager)
    answer = client.get(reverse("people_export", args=["csv"]), {"search": "hyper"})
    table = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [line[0] for line in table[1:]] == ["'=HYPERLINK(1)"]
    assert len(table[0]) == len(table[1]) == 7 + len(items())
    answer = client.get(reverse("people_export", args=["xlsx"]))
    sheet = load_workbook(BytesIO(answer.content)).active
    assert sheet is not None and sheet.max_row == 4
    events = AuditEvent.objects.filter(kind="account:people:exported").order_by("pk")
    assert [event.details["count"] for event in events] == [1, 3]
    assert client.get(reverse("people_export", args=["pdf"])).status_code == 404


def test_a_file_asks_for_the_password_again(manager: User, signed_in: Open) -> None:
    client = signed_in(manager)
    session = client.session
    session["account_authentication_methods"] = []
    session.save()
    answer = client.get(reverse("people_export", args=["csv"]))
    assert answer.status_code == 302 and answer.url.startswith("/signin/again/")
    colleague = signed_in(doctor(manager))
    assert colleague.get(reverse("people_export", args=["csv"])).status_code == 403


@pytest.mark.django_db
def test_the_board_takes_as_many_queries_for_forty_people_as_for_four(
    signed_in: Open, django_assert_max_num_queries: Callable[..., object]
) -> None:
    practice = PracticeFactory()
    admin = UserFactory(practice=practice, roles=["admin"])
    PractitionerFactory.create_batch(3, user__practice=practice)
    client = signed_in(admin)
    with django_assert_max_num_queries(13) as few:
        client.get(reverse("people"))
    PractitionerFactory.create_batch(37, user__practice=practice)
    with django_assert_max_num_queries(len(few)):  # type: ignore[arg-type]
        client.get(reverse("people"))


@pytest.mark.parametrize("language", ["fr", "nl", "de", "en"])
def test_the_platform_keeps_its_small_letter_at_the_start_of_a_line(language: str) -> None:
    with translation.override(language):
        choices = dict(BoardFilter(None).fields["acts"].choices)
    assert choices[PLATFORM].startswith("eHealth ") and choices[OWNER][0].isupper()
