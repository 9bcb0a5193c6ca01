"""What a browser sends at each route when everything is right, and about whom.

A route that takes a form has a `Place` here, or several when its fields depend on the person; every other
route that takes posts is a button, to which nothing is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import lxml.html
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from cryptography.hazmat.primitives.serialization import Encoding
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from accounts.access import Capability, capabilities
from accounts.actions import factor, invitations
from accounts.actions.key_challenges import action_binding
from accounts.models import Licence, PersonalKey, User
from accounts.signin import reset_link
from billing.models import AssistantsAccount
from ehealth import custody
from ehealth.actions import account_change
from ehealth.configuration import platform
from ehealth.models import Keystore
from practitioners import imports
from practitioners.models import Practitioner
from tests.accounts.factories import PASSWORD, PracticeFactory, UserFactory
from tests.accounts.keypairs import CODE, Pair, answer, registration, rotation, stored
from tests.accounts.test_factor import code_of, with_factor
from tests.billing.factories import FinancialFactory
from tests.cast import begin_change, house, licence_at, ready_doctor, registered, with_key, with_reset
from tests.conftest import sign_in
from tests.ehealth.factories import KeystoreFactory
from tests.ehealth.keystores import PASSWORD as FILE_PASSWORD
from tests.ehealth.keystores import Authority, authentication, subject
from tests.ehealth.keystores import keystore as p12
from tests.medisetup.test_doors import address
from tests.practitioners import sheets
from tests.practitioners.factories import AddressFactory, PractitionerFactory, nihii, ssin

Sent = dict[str, Any]
ISSUER = Authority()
ADMINS, OWNERS, NEW = Pair(), Pair(), Pair()
REASON = "Ordinateur volé le 12 mars"
IBAN = "BE54001000002197"


@dataclass(frozen=True)
class Asked:
    """One post: by whom (None: a stranger), about whom, and in which browser.

    `shown`: the fields that the page showed to each person, for whoever asks again over the same rows.
    """

    client: Client
    actor: User | None
    subject: User
    path: str
    shown: dict[User | None, Sent] = field(default_factory=dict)

    @property
    def own(self) -> bool:
        return self.actor == self.subject


def doctor(**facts: Any) -> User:
    """Somebody whose tabs all hold something, the account of the assistants included."""
    user = ready_doctor(**{"user__last_name": "Lambert"} | facts)
    account = {"iban": "BE67001000001187", "bic": "GEBABEBB", "bic_source": "derived"}
    AssistantsAccount.objects.create(practice=user.practice, **account)
    return user


def nothing(_asked: Asked) -> Sent:
    """A button."""
    return {}


def where_it_leads(asked: Asked) -> str:
    return address(asked.path, asked.subject)


@dataclass(frozen=True)
class Place:
    """A post at a route: about whom, what is sent, under which address.

    `straight`: names that the view reads itself, without a form. `script`: posted as JSON.
    """

    about: Callable[[], User] = doctor
    sent: Callable[[Asked], Sent] = nothing
    url: Callable[[Asked], str] = where_it_leads
    straight: tuple[str, ...] = ()
    script: bool = False

    @property
    def is_form(self) -> bool:
        return self.sent is not nothing


def always(**sent: Any) -> Callable[[Asked], Sent]:
    return lambda _asked: sent


# --- tabs -------------------------------------------------------------------------------------
def untouched(asked: Asked) -> Sent:
    """What a browser sends when nothing was touched, as whoever may see the page is shown it."""
    if asked.actor not in asked.shown:
        page = asked.client.get(where_it_leads(asked))
        if page.status_code != 200:
            page = sign_in(Client(), asked.subject).get(where_it_leads(asked))
        asked.shown[asked.actor] = fields_of(page.content.decode())
    return asked.shown[asked.actor]


def fields_of(page: str) -> Sent:
    """The fields of the largest form of a page, as they stand."""
    forms = [form for form in lxml.html.fromstring(page).forms if form.method == "POST"]
    found: dict[str, list[str]] = {}
    for name, value in max(forms, key=lambda form: len(form.fields)).form_values():
        found.setdefault(name, []).append(value)
    return {name: values for name, values in found.items() if name != "csrfmiddlewaretoken"}


def trainee() -> User:
    senior = FinancialFactory().practitioner
    row = PractitionerFactory(trainee=True, user__practice=senior.practice, nihii=nihii(23_456, "005"))
    FinancialFactory(practitioner=row, bce="", iban="", bic="", bic_source="", supervisor=senior)
    today = timezone.localdate()
    Licence.objects.create(user=row.user, starts_on=today, ends_on=today + timedelta(days=45))
    user: User = row.user
    return user


def house_with_contact() -> User:
    user = house()
    User.objects.filter(pk=user.pk).update(last_name="Maison médicale")
    facts = {"house_contact": user, "house_contact_ssin": ssin(1), "house_nihii": "89990165111"}
    Practitioner.objects.filter(user=user).update(**facts)
    AddressFactory(practitioner=user.practitioner)
    return user


def end_of_training(asked: Asked) -> Sent:
    return untouched(asked) | {"recognised_on": timezone.localdate().isoformat()}


# --- eHealth ----------------------------------------------------------------------------------
def file_of(user: User) -> bytes:
    """A keystore that the authority of these tests gave out for somebody."""
    day = timezone.now()
    number = user.practitioner.ssin if hasattr(user, "practitioner") else ssin(1)
    dates = {"start": day - timedelta(days=1), "end": day + timedelta(days=700)}
    return p12(authentication(ISSUER, name=subject(number), **dates))


def keystore(asked: Asked) -> Sent:
    file = SimpleUploadedFile("SSIN=1.p12", file_of(asked.subject))
    return {"version": 0, "keystore": file, "keystore_password": FILE_PASSWORD.decode()}


def trust_issuer(settings: Any, folder: Path) -> None:
    """Let the platform of the settings be the one whose authority these tests are."""
    file = folder / "issuer.pem"
    file.write_bytes(ISSUER.certificate.public_bytes(Encoding.PEM))
    settings.EHEALTH_ISSUERS_FILE = settings.EHEALTH_STS_CERTIFICATES_FILE = str(file)
    settings.EHEALTH_BASE_URLS, settings.EHEALTH_ENVIRONMENT = ["http://127.0.0.1:9"], "simulation"
    platform.cache_clear()


def with_file() -> User:
    user = doctor()
    row: Keystore = KeystoreFactory(user=user)
    custody.seal(row, "blob", file_of(user))
    row.save()
    return user


EDMG = {
    "version": 0, "same_account": "on", "iban": IBAN, "conditions_accepted": "on", "no_paper_ack": "on",
    "confirm": "1",
}  # fmt: skip


def changing() -> User:
    user = registered()
    begin_change(user)
    return user


def told() -> User:
    user, now = changing(), timezone.now()
    account_change.mark_sent(user=user, by=user, mutuality="100", day=timezone.localdate(), now=now)
    return user


def day(_asked: Asked) -> Sent:
    return {"day": timezone.localdate().isoformat()}


def twice() -> User:
    """The same person in a second practice; the first account is in `TAKEN`."""
    card = PractitionerFactory(user__login=TAKEN["login"], title="Médecin agréé")
    AddressFactory(practitioner=card)
    FinancialFactory(practitioner=card)
    user: User = PractitionerFactory(blank=True).user
    Practitioner.objects.filter(user=user).update(ssin=card.ssin)
    return user


TAKEN = {"login": "anne@premier.example", "password": PASSWORD}


# --- people -----------------------------------------------------------------------------------
NEW_PERSON = {
    "last_name": "Martin", "first_name": "Anne", "login": "anne.martin@example.be",
    "email": "anne.martin@example.be", "profession": "persphysician", "roles": ["physician"],
    "language": "nl",
}  # fmt: skip


def plain_house() -> User:
    """A house that its practice gives up, whose own account manages nobody."""
    user = house_with_contact()
    user.role_grants.all().delete()
    return user


ADDRESS = {
    "version": 0, "name": "Cabinet des Prés", "bce": "BE 0100.456.762", "street": "Rue Haute",
    "number": "7", "box": "B2", "postcode": "5000", "city": "Namur", "country": "BE",
    "email": "compta@example.be",
}  # fmt: skip


def address_of(asked: Asked) -> str:
    """The page of the address that the person chose."""
    path = asked.path.replace("<uuid:billing_address>", str(asked.subject.billing_address.uuid))
    return f"/{path}"


def unused(asked: Asked) -> str:
    User.objects.filter(pk=asked.subject.pk).update(billing_address=None)
    return address_of(asked)


def people_file(_asked: Asked) -> Sent:
    return {"file": SimpleUploadedFile("personnes.csv", sheets.as_csv(sheets.people(1)))}


def proposed(asked: Asked) -> str:
    """The preview of an import, its maker's alone; nobody's for whoever may make none."""
    if asked.actor is None or Capability.CREATE_USER not in capabilities(asked.actor):
        return where_it_leads(asked)
    person = NEW_PERSON | {"ssin": "", "nihii": "", "telecom": [], "speciality": "", "training_status": ""}
    row = imports.propose(by=asked.actor, digest="1", people=[imports.Person(2, person)], now=timezone.now())
    return f"/people/import/{row.uuid}/"


def licence(stage: str) -> Callable[[], User]:
    return lambda: licence_at(doctor(), UserFactory(is_staff=True), stage)


def invoice(asked: Asked) -> Sent:
    return day(asked) | {"number": "2026-0117"}


# --- access -----------------------------------------------------------------------------------
CHOSEN = "Trois Hérissons#71"
TWICE = {"password1": CHOSEN, "password2": CHOSEN}


def path_of(link: str) -> str:
    return link.removeprefix(settings.PORTAL_ORIGIN)


def invited() -> User:
    user: User = UserFactory(invited=True, key=False)
    return user


def invited_already() -> User:
    user = invited()
    invitations.send(user=user, by=UserFactory(roles=["admin"]), now=timezone.now())
    return user


def closed() -> User:
    user: User = UserFactory(is_active=False, deactivated_at=timezone.now())
    return user


def invitation(asked: Asked) -> str:
    row = invitations.send(user=asked.subject, by=UserFactory(roles=["admin"]), now=timezone.now())
    return path_of(invitations.link(row))


def reset(asked: Asked) -> str:
    """Where the link of a reset leads a browser."""
    return str(asked.client.get(path_of(reset_link(asked.subject))).headers["Location"])


def confirmation(asked: Asked) -> str:
    row = EmailAddress.objects.get(user=asked.subject)
    return f"/signin/email/{EmailConfirmationHMAC(row).key}/"


def unverified() -> User:
    user: User = UserFactory(verified=False)
    return user


def someone_elses_password() -> User:
    user: User = UserFactory()
    User.objects.filter(pk=user.pk).update(password_own_at=None)
    return user


def factored() -> User:
    user: User = UserFactory()
    user.recovery_codes = with_factor(user)[1]
    return user


def first_code(asked: Asked) -> Sent:
    """The code of the seed that the page offers, to whoever is offered one."""
    found = asked.client.get("/factor/").context or {}
    if "seed" not in found:
        return {"code": "123456"}
    seed = factor.base64.b32decode(found["seed"].replace(" ", ""))
    return {"code": code_of(seed, timezone.now())}


def code_at_sign_in(asked: Asked) -> Sent:
    if asked.actor is None:
        asked.client.post("/signin/", {"login": asked.subject.login, "password": PASSWORD})
    return {"code": asked.subject.recovery_codes[0]}


def code_in_session(asked: Asked) -> Sent:
    session = asked.client.session
    session.pop("factor_at", None)
    session.save()
    return {"code": asked.subject.recovery_codes[0]}


# --- keys -------------------------------------------------------------------------------------
NO_PROOF = {"challenge": "x", "proof": "x"}


def keyless() -> User:
    user: User = UserFactory(key=False)
    return user


def keyed(**facts: Any) -> Callable[[], User]:
    def make() -> User:
        user = keyless()
        stored(user, OWNERS, **facts)
        return user

    return make


def registering(asked: Asked) -> Sent:
    fields = {"public_key": NEW.text, "protection": "portal", "file_code": CODE, "origin": "generated"}
    return registration(asked.client, NEW) if asked.own else NO_PROOF | fields


def proof(purpose: str, /, **fields: str) -> Callable[[Asked], Sent]:
    def sent(asked: Asked) -> Sent:
        return (answer(asked.client, OWNERS, purpose) if asked.own else NO_PROOF) | fields

    return sent


def rotating(asked: Asked) -> Sent:
    if asked.own:
        return rotation(asked.client, OWNERS, NEW)
    return dict.fromkeys(("challenge_old", "proof_old", "challenge_new", "proof_new", "public_key"), "x")


def asking_a_reset(asked: Asked) -> Sent:
    """Signed with the key of the administrator, who alone may ask."""
    signs = asked.actor is not None and "admin" in asked.actor.roles()
    if signs:
        PersonalKey.objects.filter(user=asked.actor).delete()
        stored(asked.actor, ADMINS)
    binding = action_binding(kind="key-reset", subject=asked.subject.uuid, fields=[("reason", REASON)])
    signed = answer(asked.client, ADMINS, "action", binding) if signs else NO_PROOF
    return signed | {"reason": REASON}


def waiting_for_reset() -> User:
    user = keyed()()
    return with_reset(user, UserFactory(practice=user.practice, roles=["admin"]), opened=True)


# --- all of them ------------------------------------------------------------------------------
PLACES: dict[str, list[Place]] = {
    "practitioners:general": [Place(sent=untouched), Place(house_with_contact, untouched)],
    "practitioners:addresses": [Place(sent=untouched, straight=("add", "address-*-telecoms"))],
    "accounts:account": [Place(sent=untouched)],
    "billing:financial": [Place(sent=untouched), Place(trainee, untouched)],
    "billing:end_of_training": [Place(trainee, end_of_training)],
    "billing:licence_invoice": [Place(licence("requested"), invoice)],
    "billing:licence_payment": [Place(licence("invoiced"), day)],
    "billing:licence_activate": [Place(licence("paid"))],
    "ehealth:connection": [Place(sent=keystore)],
    "ehealth:reconnect": [Place(with_file, always(keystore_password=FILE_PASSWORD.decode()))],
    "ehealth:edmg": [Place(lambda: with_key(doctor()), always(**EDMG), straight=("change", "confirm"))],
    "ehealth:account_change": [
        Place(registered, always(iban=IBAN, confirm="1"), straight=("change", "confirm"))
    ],
    "ehealth:account_change_sent": [Place(changing, day)],
    "ehealth:account_change_confirmed": [Place(told, day)],
    "ehealth:account_change_give_up": [Place(changing)],
    "ehealth:disconnect": [Place(with_file)],
    "ehealth:run_checks": [Place(with_file, always(capability="token"), straight=("capability",))],
    "ehealth:switch_mailbox": [Place(with_file, always(auto="on"), straight=("auto",))],
    "ehealth:takeover": [Place(twice, always(**TAKEN))],
    "practitioners:practice": [
        Place(sent=always(version=0, name="Cabinet du Parc", type="solo")),
        Place(plain_house, always(version=0, name="Cabinet", type="solo", confirm_houses="on")),
    ],
    "accounts:new_billing_address": [Place(sent=always(**ADDRESS))],
    "accounts:billing_address": [Place(sent=always(**ADDRESS), url=address_of)],
    "accounts:remove_billing_address": [Place(url=unused)],
    "practitioners:new": [Place(sent=always(**NEW_PERSON))],
    "practitioners:import": [Place(sent=people_file)],
    "practitioners:import_batch": [Place(url=proposed)],
    "accounts:invitation": [Place(invited, always(**TWICE), invitation)],
    "accounts:invite": [Place(invited, straight=("next",))],
    "accounts:revoke_invitation": [Place(invited_already)],
    "accounts:reactivate": [Place(closed)],
    "accounts:own_password": [Place(someone_elses_password, always(**TWICE))],
    "accounts:end_sessions": [Place(sent=always(session="0" * 64), straight=("session",))],
    "accounts:factor": [Place(sent=first_code)],
    "accounts:factor_codes": [Place(factored)],
    "accounts:factor_remove": [Place(factored)],
    "accounts:factor_prove": [Place(factored, code_in_session)],
    "accounts:key_challenge": [
        Place(sent=always(purpose="session", binding="-"), straight=("purpose", "binding"), script=True)
    ],
    "accounts:key_register": [Place(keyless, registering)],
    "accounts:key_backup": [Place(keyed(pending=True), proof("backup"))],
    "accounts:key_second_backup": [Place(keyed(), proof("backup"))],
    "accounts:key_prove": [Place(keyed(), proof("session", purpose="session"))],
    "accounts:key_prepared": [Place(keyed(prepared=True))],
    "accounts:key_discard": [Place(keyed(pending=True))],
    "accounts:key_rotate": [Place(keyed(), rotating)],
    "accounts:key_revoke": [Place(keyed(), always(reason="other"))],
    "accounts:key_reset": [Place(keyed(), asking_a_reset)],
    "accounts:key_reset_use": [Place(waiting_for_reset)],
    "accounts:key_reset_cancel": [Place(waiting_for_reset)],
    "account_login": [Place(sent=lambda asked: {"login": asked.subject.login, "password": PASSWORD})],
    "account_reauthenticate": [Place(sent=always(password=PASSWORD))],
    "account_reset_password": [Place(sent=lambda asked: {"email": asked.subject.email})],
    "account_reset_password_from_key": [Place(sent=always(**TWICE), url=reset)],
    "account_confirm_email": [Place(unverified, url=confirmation)],
    "mfa_authenticate": [Place(factored, code_at_sign_in)],
    "journal_export": [Place(sent=always(format="csv"), straight=("format",))],
    "set_language": [Place(sent=always(language="nl"), straight=("language", "next"))],
}


def places(route: str) -> Iterator[Place]:
    """Where and with what the route is posted to."""
    yield from PLACES.get(route, [Place()])


def colleagues(subject: User) -> dict[str, User | None]:
    """Who posts about somebody, by the columns of the table of fields."""
    return {
        "owner": subject,
        "admin": UserFactory(practice=subject.practice, roles=["admin"]),
        "user_manager": UserFactory(practice=subject.practice, roles=["user_manager"]),
        "staff": UserFactory(is_staff=True, practice=PracticeFactory()),
        "stranger": None,
    }
