"""A new account for the DMG: told to each mutuality by letter, in force only when it has confirmed."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone

from accounts.access import Forbidden
from accounts.models import AuditEvent, Mail, User
from billing.bank import BankAccount
from ehealth.actions import account_change as changes
from ehealth.actions.account_change import ChangeRefused
from ehealth.models import AccountChange, AccountChangeTask, EdmgRegistration
from tests.accounts.factories import UserFactory
from tests.cast import begin_change, ready_doctor, registered, registrations
from tests.proofs import asks, long_ago

pytestmark = pytest.mark.django_db
OLD, NEW = "BE67001000001187", "BE54001000002197"
ACCOUNT = BankAccount(NEW, "GEBABEBB", "derived")
THIRD = BankAccount("LU280019400644750000", "BCEELULLXXX", "derived")


def url(user: User, step: str = "", code: str = "") -> str:
    name = f"ehealth:account_change{step}"
    return reverse(name, args=[user.uuid, code] if code else [user.uuid])


def today() -> date:
    return timezone.localdate()


def act(user: User, verb: str, code: str, day: date | None = None) -> object:
    return getattr(changes, f"mark_{verb}")(
        user=user, by=user, mutuality=code, day=day or today(), now=timezone.now()
    )


# --- the change -------------------------------------------------------------------------------
def test_seven_tasks_and_the_old_account_stays_in_force() -> None:
    doctor = registered()
    begin_change(doctor)
    tasks = AccountChangeTask.objects.filter(change__user=doctor)
    assert list(tasks.order_by("mutuality").values_list("mutuality", "old_iban")) == [
        (code, OLD) for code in ("100", "200", "300", "400", "500", "600", "900")
    ]
    assert set(changes.accounts_in_force(doctor).values()) == {OLD}
    event = AuditEvent.objects.get(kind="ehealth:account_change:begun")
    assert event.details["iban"] == "•••197" and OLD not in str(event.details)
    assert Mail.objects.get(kind="edmg_account_changed").user == doctor


def test_who_was_registered_before_is_paid_on_an_account_nobody_knows(signed_in) -> None:
    doctor = registrations(ready_doctor(), ("already_registered", "168", ""))
    EdmgRegistration.objects.filter(user=doctor).update(iban=NEW)
    assert set(changes.accounts_in_force(doctor).values()) == {""}
    begin_change(doctor)
    assert set(AccountChangeTask.objects.values_list("old_iban", flat=True)) == {""}
    assert "Compte inconnu du portail" in signed_in(doctor).get(url(doctor)).content.decode()
    letter = signed_in(doctor).get(url(doctor, "_letter", "100")).content.decode()
    assert "se termine par" not in letter and "pour le DMG électronique." in letter
    act(doctor, "sent", "100")
    act(doctor, "confirmed", "100")
    assert changes.accounts_in_force(doctor)["100"] == NEW
    assert changes.accounts_in_force(doctor)["200"] == ""


def test_only_mutualities_that_pay_elsewhere_are_told() -> None:
    doctor = registrations(ready_doctor(), ("registered", "", ""), ("rejected", "130", "account"))
    EdmgRegistration.objects.filter(user=doctor, mutuality="100").update(iban=NEW)
    begin_change(doctor)
    codes = AccountChangeTask.objects.order_by("mutuality").values_list("mutuality", flat=True)
    assert list(codes) == ["300", "500", "900"]


def test_a_mutuality_pays_on_the_new_account_once_it_has_confirmed() -> None:
    doctor = registered()
    begin_change(doctor)
    act(doctor, "sent", "100")
    assert changes.accounts_in_force(doctor)["100"] == OLD
    assert not act(doctor, "confirmed", "100")
    assert changes.accounts_in_force(doctor) == {
        code: NEW if code == "100" else OLD for code in ("100", "200", "300", "400", "500", "600", "900")
    }
    assert len(changes.open_tasks(doctor)) == 6


def test_the_change_ends_with_the_last_confirmation() -> None:
    doctor = registered()
    begin_change(doctor)
    codes = list(changes.accounts_in_force(doctor))
    for code in codes:
        act(doctor, "sent", code)
    assert [act(doctor, "confirmed", code) for code in codes] == [False] * 6 + [True]
    assert changes.open_change(doctor) is None and changes.open_tasks(doctor) == []
    assert set(changes.accounts_in_force(doctor).values()) == {NEW}
    with pytest.raises(ChangeRefused, match="same_account"):
        begin_change(doctor)


def test_another_account_overtakes_the_change_that_is_open() -> None:
    doctor = registered()
    begin_change(doctor)
    act(doctor, "sent", "100")
    act(doctor, "confirmed", "100")
    changes.begin(user=doctor, by=doctor, account=THIRD, now=timezone.now())
    change = changes.open_change(doctor)
    assert change is not None and change.iban == THIRD.iban
    assert change.tasks.get(mutuality="100").old_iban == NEW
    assert change.tasks.get(mutuality="200").old_iban == OLD
    assert AccountChange.objects.filter(user=doctor, ended_at=None).count() == 1


@pytest.mark.parametrize(
    ("states", "key"),
    [
        ([], "not_registered"),
        ([("rejected", "141", "")], "not_registered"),
        ([("registered", "", ""), ("retrying", "timed_out", "")], "under_way"),
    ],
)
def test_when_no_change_can_begin(states: list[tuple[str, str, str]], key: str) -> None:
    doctor = registrations(ready_doctor(), *states) if states else ready_doctor()
    with pytest.raises(ChangeRefused, match=key):
        begin_change(doctor)
    assert not AccountChange.objects.exists()


def test_steps_out_of_order_change_nothing() -> None:
    doctor = registered()
    with pytest.raises(ChangeRefused, match="no_change"):
        act(doctor, "sent", "100")
    begin_change(doctor)
    with pytest.raises(ChangeRefused, match="not_sent"):
        act(doctor, "confirmed", "100")
    act(doctor, "sent", "100")
    with pytest.raises(ChangeRefused, match="before_sent"):
        act(doctor, "confirmed", "100", today() - timedelta(days=1))
    with pytest.raises(ChangeRefused, match="letters_sent"):
        changes.give_up(user=doctor, by=doctor, now=timezone.now())
    act(doctor, "confirmed", "100")
    for verb in ("sent", "confirmed"):
        with pytest.raises(ChangeRefused, match=r"^confirmed$"):
            act(doctor, verb, "100")


def test_a_change_begun_by_mistake_is_given_up() -> None:
    doctor = registered()
    begin_change(doctor)
    changes.give_up(user=doctor, by=doctor, now=timezone.now())
    assert changes.open_change(doctor) is None
    assert set(changes.accounts_in_force(doctor).values()) == {OLD}


def test_nobody_else_acts_for_the_owner() -> None:
    doctor = registered()
    begin_change(doctor)
    admin, now = UserFactory(practice=doctor.practice, roles=["admin"]), timezone.now()
    for call in (
        lambda: changes.begin(user=doctor, by=admin, account=THIRD, now=now),
        lambda: changes.mark_sent(user=doctor, by=admin, mutuality="100", day=today(), now=now),
        lambda: changes.mark_confirmed(user=doctor, by=admin, mutuality="100", day=today(), now=now),
        lambda: changes.give_up(user=doctor, by=admin, now=now),
    ):
        with pytest.raises(Forbidden):
            call()


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"confirmed_on": date(2026, 3, 2)}, "account_change_confirmed_needs_sent"),
        (
            {"sent_on": date(2026, 3, 3), "confirmed_on": date(2026, 3, 2)},
            "account_change_confirmed_after_sent",
        ),
    ],
)
def test_the_database_keeps_the_order_of_the_days(values: dict[str, date], name: str) -> None:
    doctor = registered()
    begin_change(doctor)
    with pytest.raises(IntegrityError, match=name), transaction.atomic():
        AccountChangeTask.objects.filter(mutuality="100").update(**values)


def test_the_database_holds_one_open_change() -> None:
    doctor = registered()
    begin_change(doctor)
    with pytest.raises(IntegrityError, match="account_change_one_open"), transaction.atomic():
        AccountChange.objects.create(user=doctor, iban=NEW, bic="GEBABEBB", created_at=timezone.now())


# --- the pages --------------------------------------------------------------------------------
def test_two_steps_and_a_second_proof_before_anything_changes(signed_in) -> None:
    doctor = registered()
    client = long_ago(signed_in(doctor))
    assert asks(client.post(url(doctor), {"iban": NEW}), url(doctor))
    page = client.get(url(doctor)).content.decode()
    assert NEW in page, "what was typed has waited"
    client = signed_in(doctor)
    page = client.post(url(doctor), {"iban": "BE54 0010 0000 2197", "bic": "XXXXXXXX"}).content.decode()
    assert "BE54 0010 0000 2197 · GEBABEBB" in page and "BE67 0010 0000 1187" in page
    assert not AccountChange.objects.exists()
    assert NEW in client.post(url(doctor), {"iban": NEW, "change": "1"}).content.decode()
    page = client.post(url(doctor), {"iban": NEW, "confirm": "1"}, follow=True).content.decode()
    assert AccountChange.objects.get().bic == "GEBABEBB"
    assert page.count("À envoyer") == 7 and "BE67 0010 0000 1187" in page
    assert "7 mutualités doivent encore confirmer" in client.get("/").content.decode()


@pytest.mark.parametrize(
    ("iban", "words"),
    [
        ("", "Indiquez le compte bancaire"),
        ("BE69001000001187", "chiffres de contrôle"),
        (OLD, "paient déjà sur ce compte"),
    ],
)
def test_a_wrong_account_is_named_and_kept(signed_in, iban: str, words: str) -> None:
    doctor = registered()
    response = signed_in(doctor).post(url(doctor), {"iban": iban, "confirm": "1"})
    assert response.status_code == 422 and words in response.content.decode()
    assert not AccountChange.objects.exists()


def test_sending_and_confirming_on_the_page(signed_in) -> None:
    doctor = registered()
    begin_change(doctor)
    client, day = signed_in(doctor), today().isoformat()
    response = client.post(url(doctor, "_sent", "100"), {"day": "2999-01-01"})
    assert response.status_code == 422 and "#day_100" in response.content.decode()
    response = client.post(url(doctor, "_confirmed", "100"), {"day": day})
    assert "Notez d&#x27;abord le jour" in response.content.decode()
    page = client.post(url(doctor, "_sent", "100"), {"day": day}, follow=True).content.decode()
    assert page.count("À envoyer") == 6 and "Lettre envoyée le" in page
    page = client.post(url(doctor, "_confirmed", "100"), {"day": day}, follow=True).content.decode()
    assert "Paie sur le nouveau compte, BE54 0010 0000 2197" in page
    assert client.post(url(doctor, "_sent", "150"), {"day": day}).status_code == 404
    client.post(url(doctor, "_give_up"))
    assert changes.open_change(doctor) is not None, "a letter has left"


def test_the_letter_is_in_the_doctors_language_with_the_new_account_in_full(signed_in) -> None:
    doctor = registered(user__language="nl")
    begin_change(doctor)
    client = signed_in(doctor)
    client.cookies["django_language"] = "fr"
    page = client.get(url(doctor, "_letter", "300")).content.decode()
    letter = page.split("<article")[1].split("</article>")[0]
    assert 'lang="nl"' in letter and "Geachte mevrouw" in letter and "Socialistische" in letter
    assert "BE54 0010 0000 2197" in letter and "eindigt op 187" in letter
    assert OLD not in page and "BE67 0010" not in page
    assert "Imprimer" in page.split("<article")[0], "the page itself is in the reader's language"


def test_a_manager_sees_states_with_masked_numbers_and_no_letter(signed_in) -> None:
    doctor = registered()
    begin_change(doctor)
    client = signed_in(UserFactory(practice=doctor.practice, roles=["admin"]))
    page = client.get(url(doctor)).content.decode()
    assert page.count("À envoyer") == 7 and "•••197" in page and "•••187" in page
    for number in ("BE54 0010 0000 2197", NEW, OLD, "BE67 0010 0000 1187"):
        assert number not in page
    assert client.get(url(doctor, "_letter", "100")).status_code == 403
    for response in (
        client.post(url(doctor), {"iban": NEW, "confirm": "1"}),
        client.post(url(doctor, "_sent", "100"), {"day": today().isoformat()}),
        client.post(url(doctor, "_confirmed", "100"), {"day": today().isoformat()}),
        client.post(url(doctor, "_give_up")),
    ):
        assert response.status_code == 403
    assert AccountChangeTask.objects.filter(sent_on=None).count() == 7


def test_the_new_account_of_the_finances_is_proposed(signed_in) -> None:
    doctor = registered()
    assert f'value="{OLD}"' not in signed_in(doctor).get(url(doctor)).content.decode()
    doctor.practitioner.financial.iban = NEW
    doctor.practitioner.financial.save()
    assert "BE54 0010 0000 2197" in signed_in(doctor).get(url(doctor)).content.decode()


def test_the_registrations_page_leads_to_the_change(signed_in) -> None:
    doctor = registered()
    edmg = reverse("ehealth:edmg", args=[doctor.uuid])
    assert url(doctor) in signed_in(doctor).get(edmg).content.decode()
