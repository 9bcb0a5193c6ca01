"""Every kind of mail as the portal really sends it: each act that sends one, among rows full of secrets."""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import timedelta
from urllib.parse import quote

from allauth.account.models import EmailAddress
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.actions import factor, invitations, key_resets, keys, licences, passwords, people
from accounts.actions.sections import section_change, section_version
from accounts.models import Licence, PersonalKey, ProvisionalClaim, SectionReview, User
from billing import actions as billing
from billing.bank import BankAccount, account
from billing.takeover import take_over
from ehealth import custody
from ehealth.actions import calendar, connection
from ehealth.models import Keystore, PlatformSession
from medisetup import reminders
from practitioners.actions import save_general
from practitioners.models import Practitioner
from tests.accounts.factories import PASSWORD, PracticeFactory, UserFactory
from tests.accounts.keypairs import CODE, Pair, answer, post, rotation, stored
from tests.accounts.test_factor import code_of, with_factor
from tests.billing.factories import FinancialFactory
from tests.cast import begin_change, licence_at, ready_doctor, registrations, with_reset
from tests.conftest import sign_in
from tests.ehealth.factories import KeystoreFactory
from tests.field_table import rows
from tests.posts import CHOSEN, FILE_PASSWORD, OWNERS, file_of
from tests.practitioners.factories import PractitionerFactory, nihii

PAIR = Pair()
PRIVATE_KEY = b"\x30\x82\x04\xbe, a private key as good as any"
ASSERTION = b'<saml:Assertion ID="_0e5d1c8b">holder of key</saml:Assertion>'
IBAN, OTHER, SHARED = "BE67001000001187", "BE54001000002197", "BE52001100000309"
# What of a row nobody may read in a mail, whatever the table.
SECRET_COLUMNS = {"ssin", "house_contact_ssin", "iban", "old_iban", "password", "nonce", "session_hash"}
SECRET_SETTINGS = ("SECRET_KEY", "SEALING_KEYS", "EHEALTH_LICENCE_PASSWORD")


# --- the people -------------------------------------------------------------------------------
class Cast:
    """A practice whose people all read one language; its doctor has every secret the portal keeps."""

    def __init__(self, language: str) -> None:
        self.language, self.now = language, timezone.now()
        self.practice = PracticeFactory()
        named = {
            "user__practice": self.practice,
            "user__language": language,
            "user__last_name": "D'Hondt <b>",
        }
        self.people = {"doctor": ready_doctor(**named, user__key=False, user__first_name="Anne & Co")}
        for role in ("admin", "user_manager"):
            self.people[role] = UserFactory(practice=self.practice, language=language, roles=[role])
        self.people["trainee"] = self._trainee()
        self.people["staff"] = UserFactory(is_staff=True, language=language)
        self.planted = [PASSWORD, CHOSEN, CODE, PRIVATE_KEY, ASSERTION, FILE_PASSWORD]
        self._fill(self.people["doctor"])

    def __getattr__(self, name: str) -> User:
        """Somebody of the practice, as stored now: what another act changed was undone."""
        if name == "people" or name not in self.people:
            raise AttributeError(name)
        return User.objects.get_queryset().select_related("practice").get(pk=self.people[name].pk)

    def _trainee(self) -> User:
        row = PractitionerFactory(
            trainee=True, user__practice=self.practice, user__language=self.language,
            nihii=nihii(345_678, "005"), speciality="general_practice",
        )  # fmt: skip
        senior = self.people["doctor"].practitioner
        FinancialFactory(practitioner=row, bce="", iban="", bic="", bic_source="", supervisor=senior)
        day = timezone.localdate()
        Licence.objects.create(user=row.user, starts_on=day, ends_on=day + timedelta(days=45))
        user: User = row.user
        return user

    def _fill(self, doctor: User) -> None:
        """Key, factor, keystore, session at the platform and in the browser, accounts everywhere."""
        stored(doctor, OWNERS)
        seed, codes = with_factor(doctor)
        keystore: Keystore = KeystoreFactory(user=doctor, stay_connected=True)
        self.file = file_of(doctor)
        custody.seal(keystore, "blob", self.file)
        custody.seal_identity(keystore, PRIVATE_KEY, [b"chain"])
        keystore.save()
        session = PlatformSession(
            keystore=keystore, not_before=self.now, not_on_or_after=self.now + timedelta(hours=3)
        )
        custody.seal(session, "assertion", ASSERTION)
        custody.seal_identity(session, PRIVATE_KEY, [b"chain"])
        session.save()
        billing.AssistantsAccount.objects.create(
            practice=self.practice, iban=SHARED, bic="GEBABEBB", bic_source="derived"
        )
        registrations(doctor, ("registered", "", ""))
        browser = sign_in(Client(), doctor).session.session_key or ""
        self.planted += [seed, *codes, browser, self.file]

    def browser(self, who: User) -> Client:
        return sign_in(Client(), who)

    def invited(self) -> User:
        user: User = UserFactory(practice=self.practice, language=self.language, invited=True, key=False)
        return user

    def secrets(self) -> list[str | bytes]:
        """What was planted, and what the rows hold now: numbers, hashes, every sealed byte."""
        found: list[str | bytes] = [str(getattr(settings, name)) for name in SECRET_SETTINGS]
        for row in rows().values():
            for name, value in row.items():
                if name in SECRET_COLUMNS and value:
                    found.append(value)
                elif isinstance(value, str) and value.startswith("\\x"):
                    found.append(bytes.fromhex(value[2:]))
                elif isinstance(value, dict) and "seed" in value:
                    found.append(base64.b64decode(value["seed"]))
        return [secret for secret in {*found, *self.planted} if len(secret) > 6]


def spellings(secret: str | bytes) -> Iterator[str]:
    """A secret, or the beginning of a long one, in every shape in which it could be read."""
    raw = (secret.encode() if isinstance(secret, str) else secret)[:48]
    yield raw.decode("latin-1")
    if isinstance(secret, str):
        yield from (secret, quote(secret, safe=""), json.dumps(secret)[1:-1])
    yield from (raw.hex(), raw.hex().upper(), base64.b32encode(raw).decode().rstrip("=")[:-1])
    for shift in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            whole = encode(b"\0" * shift + raw).decode().rstrip("=")
            yield whole[4 if shift else 0 : -2]


# --- the acts ---------------------------------------------------------------------------------
Act = Callable[[Cast], object]
ACTS: dict[str, list[Act]] = defaultdict(list)


def sends(*kinds: str) -> Callable[[Act], Act]:
    """The act sends a mail of each kind, and no other."""

    def note(act: Act) -> Act:
        for kind in kinds:
            ACTS[kind].append(act)
        return act

    return note


@sends("invitation")
def invite(cast: Cast) -> None:
    invitations.send(user=cast.invited(), by=cast.admin, now=cast.now)


@sends("invitation")
def invite_from_outside(cast: Cast) -> None:
    invitations.send(user=cast.invited(), by=None, now=cast.now)


@sends("password_reset")
def forget_password(cast: Cast) -> None:
    Client().post(reverse("account_reset_password"), {"email": cast.doctor.email})


@sends("password_changed")
def change_password(cast: Cast) -> None:
    passwords.change_password(user=cast.doctor, password=CHOSEN, now=cast.now)


@sends("password_changed")
def reset_password(cast: Cast) -> None:
    passwords.reset_password(user=cast.doctor, password=CHOSEN, now=cast.now)


@sends("email_change_asked", "email_verification")
def ask_for_another_address(cast: Cast) -> None:
    passwords.change_email(user=cast.doctor, email="ailleurs@example.be", by=cast.admin, now=cast.now)


@sends("email_changed")
def confirm_another_address(cast: Cast) -> None:
    row = EmailAddress.objects.create(user=cast.doctor, email="ailleurs@example.be")
    passwords.confirm_email(address=row, now=cast.now)


@sends("login_changed")
def change_login(cast: Cast) -> None:
    people.change_login(user=cast.doctor, login="anne.d'hondt@example.be", by=cast.admin, now=cast.now)


@sends("roles_changed")
def change_roles(cast: Cast) -> None:
    people.set_roles(user=cast.doctor, roles=["physician", "reception"], by=cast.admin, now=cast.now)


@sends("account_deactivated")
def deactivate(cast: Cast) -> None:
    people.deactivate(user=cast.doctor, by=cast.admin, now=cast.now)


@sends("account_reactivated")
def reactivate(cast: Cast) -> None:
    closed = UserFactory(
        practice=cast.practice, language=cast.language, is_active=False, deactivated_at=cast.now
    )
    people.reactivate(user=closed, by=cast.admin, now=cast.now)


@sends("section_reopened")
def correct_a_section(cast: Cast) -> None:
    SectionReview.objects.create(user=cast.doctor, section="account", version=1)
    with section_change(user=cast.doctor, section="account", by=cast.admin, version=1, now=cast.now):
        pass


@sends("reminder")
def remind(cast: Cast) -> None:
    assert reminders.remind(user=cast.trainee, by=cast.user_manager, now=cast.now)


@sends("new_device")
def sign_in_elsewhere(cast: Cast) -> None:
    person = cast.trainee
    User.objects.filter(pk=person.pk).update(last_login=cast.now)
    agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
    browser = Client(headers={"User-Agent": agent}, REMOTE_ADDR="203.0.113.7")
    answer = browser.post(reverse("account_login"), {"login": person.login, "password": PASSWORD})
    assert answer.status_code == 302


@sends("factor_activated")
def begin_a_factor(cast: Cast) -> None:
    seed = factor.new_seed()
    cast.planted += [
        seed,
        *factor.activate(user=cast.trainee, seed=seed, code=code_of(seed, cast.now), now=cast.now),
    ]


@sends("factor_removed")
def remove_a_factor(cast: Cast) -> None:
    factor.remove(user=cast.doctor, by=cast.doctor, now=cast.now)


@sends("factor_removed")
def have_a_factor_removed(cast: Cast) -> None:
    factor.remove(user=cast.doctor, by=None, now=cast.now)


@sends("factor_code_used")
def use_a_recovery_code(cast: Cast) -> None:
    codes = factor.renew_codes(user=cast.doctor, now=cast.now)
    cast.planted += codes
    assert factor.verify(user=cast.doctor, code=codes[0], now=cast.now)


# --- keys -------------------------------------------------------------------------------------
@sends("key_registered")
def register_a_key(cast: Cast) -> None:
    PersonalKey.objects.filter(user=cast.trainee).delete()
    stored(cast.trainee, PAIR)


@sends("key_prepared")
def have_a_key_prepared(cast: Cast) -> None:
    PersonalKey.objects.filter(user=cast.trainee).delete()
    stored(cast.trainee, PAIR, prepared=True)


@sends("key_imported")
def import_a_key(cast: Cast) -> None:
    client = cast.browser(cast.doctor)
    assert (
        post(client, "/key/prove/", answer(client, OWNERS, "import") | {"purpose": "import"}).status_code
        == 200
    )


@sends("key_code_released")
def read_the_code(cast: Cast) -> None:
    assert keys.release_code(user=cast.doctor, now=cast.now) == CODE


@sends("key_rotated")
def renew_a_key(cast: Cast) -> None:
    client = cast.browser(cast.doctor)
    assert post(client, "/key/rotate/", rotation(client, OWNERS, PAIR)).status_code == 200


@sends("key_revoked")
def revoke_a_key(cast: Cast) -> None:
    keys.revoke(user=cast.doctor, by=cast.doctor, reason="compromised", now=cast.now)


@sends("key_lost")
def lose_a_key(cast: Cast) -> None:
    assert key_resets.report_lost(user=cast.doctor, now=cast.now) == 1


@sends("key_reset_asked")
def ask_for_a_reset(cast: Cast) -> None:
    key_resets._store(cast.doctor, cast.admin, "Ordinateur volé le 12 mars", cast.now)


@sends("key_reset_cancelled")
def stop_a_reset(cast: Cast) -> None:
    key_resets.cancel(subject=with_reset(cast.doctor, cast.admin, opened=False), by=cast.doctor, now=cast.now)


@sends("key_reset_done")
def use_a_reset(cast: Cast) -> None:
    key_resets.use(user=with_reset(cast.doctor, cast.admin, opened=True), now=cast.now)


# --- eHealth ----------------------------------------------------------------------------------
@sends("keystore_stored")
def bring_a_keystore(cast: Cast) -> None:
    connection.store(
        user=cast.doctor, by=cast.doctor, data=cast.file, password=FILE_PASSWORD.decode(), file_name="a.p12",
        auto=True, version=section_version(cast.doctor, connection.SECTION), now=cast.now,
    )  # fmt: skip


@sends("keystore_disconnected")
def disconnect(cast: Cast) -> None:
    connection.disconnect(user=cast.doctor, by=cast.doctor, now=cast.now)


def certificate_ends(**left: int) -> Act:
    def act(cast: Cast) -> None:
        Keystore.objects.filter(user=cast.doctor).update(not_after=cast.now + timedelta(**left))
        assert calendar.remind(now=cast.now) == 1

    return act


sends("certificate_ends")(certificate_ends(days=6))
sends("certificate_ends")(certificate_ends(days=-1))


@sends("edmg_account_changed")
def change_account(cast: Cast) -> None:
    begin_change(cast.doctor)


@sends("nihii_replaced")
def replace_an_identity(cast: Cast) -> None:
    doctor = cast.doctor
    row, nothing = doctor.practitioner, {"house_contact": None, "house_contact_ssin": "", "house_nihii": ""}
    names = ("civility", "title", "profession", "speciality", "ssin", "training_status", "company_name")
    kept = {name: getattr(row, name) for name in names} | {"other_languages": row.other_languages}
    save_general(
        user=doctor, by=cast.admin, version=section_version(doctor, "practitioner/general"), now=cast.now,
        last_name=doctor.last_name, first_name=doctor.first_name, language=doctor.language,
        nihii=nihii(765_432, "003"), nihii_reason="Faute de frappe <à l'encodage>", **kept, **nothing,
    )  # fmt: skip


# --- licence and money ------------------------------------------------------------------------
def licence_ends(days: int, *, requested: bool = False) -> Act:
    def act(cast: Cast) -> None:
        if requested:
            licence_at(cast.doctor, cast.staff, "requested")
        end = timezone.localdate() + timedelta(days=days)
        Licence.objects.filter(user=cast.doctor).update(starts_on=end - timedelta(days=45), ends_on=end)
        assert sum(licences.sweep(now=cast.now)) == 1

    return act


for asked in (False, True):
    sends("licence_reminder")(licence_ends(6, requested=asked))
sends("licence_reminder")(licence_ends(0))
sends("licence_expired")(licence_ends(-1))


@sends("licence_due")
def type_the_number_of_somebody_without_days(cast: Cast) -> None:
    day, number = timezone.localdate() - timedelta(days=46), "19990116"
    ProvisionalClaim.objects.create(
        number=number, licence=cast.trainee.licence, starts_on=day, ends_on=day + timedelta(days=45)
    )
    mine, by = cast.doctor.licence, cast.admin
    assert licences.claim_provisional(licence=mine, numbers=[number], by=by, now=cast.now)


@sends("licence_activated")
def activate_a_licence(cast: Cast) -> None:
    licence_at(cast.doctor, cast.staff, "active")


@sends("training_ended")
def end_a_training(cast: Cast) -> None:
    billing.end_training(
        user=cast.trainee, by=cast.admin, versions=(0, 0), nihii=nihii(345_678, "003"),
        speciality="general_practice", recognised_on=timezone.localdate(), now=cast.now,
    )  # fmt: skip


def save_financial(cast: Cast, own: BankAccount, shared: BankAccount) -> None:
    billing.save_financial(
        user=cast.doctor, by=cast.user_manager, version=0, now=cast.now, company_name="", bce="0100000169",
        convention="conventioned", convention_hours="", supervisor=None, account=own,
        assistants_account=shared, shared_changed=True,
    )  # fmt: skip


@sends("iban_changed")
def change_own_account(cast: Cast) -> None:
    """A manager corrects what a manager filled in; a confirmed account is the owner's."""
    SectionReview.objects.create(
        user=cast.doctor, section="billing/financial", prefilled_by=cast.user_manager, prefilled_at=cast.now
    )
    save_financial(cast, account(OTHER, ""), account(SHARED, ""))


@sends("assistants_account_changed")
def change_shared_account(cast: Cast) -> None:
    save_financial(cast, account(IBAN, ""), account(OTHER, ""))


@sends("supervisor_lost", "trainees_lost")
def lose_a_supervisor(cast: Cast) -> None:
    Practitioner.objects.filter(user=cast.doctor).update(training_status="trainee")
    assert billing.tell_of_lost_supervisors(now=cast.now) == 1


@sends("data_taken_over")
def take_data_over(cast: Cast) -> None:
    second = PractitionerFactory(blank=True).user
    Practitioner.objects.filter(user=second).update(ssin=cast.doctor.practitioner.ssin)
    take_over(user=second, first=cast.doctor, by=second, now=cast.now, most_addresses=8)
