"""Everybody and everything a page can be about, and the visits that show every page of the site.

Shared by the tests that look at all pages: their languages, their accessibility.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts import audit
from accounts.actions import factor, invitations, licences
from accounts.models import KeyReset, Licence, PersonalKey, Practice, SectionReview, User
from accounts.signin import reset_link
from billing.bank import BankAccount
from billing.models import AssistantsAccount
from ehealth.actions import account_change
from ehealth.models import (
    EdmgRegistration,
    Endpoint,
    Exchange,
    Keystore,
    Mailbox,
    MailboxMessage,
    Mutuality,
    PlatformCheck,
    PlatformSession,
)
from tests.accounts.factories import BillingAddressFactory, PersonalKeyFactory, PracticeFactory, UserFactory
from tests.billing.factories import FinancialFactory
from tests.ehealth.factories import EdmgRegistrationFactory, EdmgRequestFactory, KeystoreFactory
from tests.practitioners.factories import AddressFactory, PractitionerFactory, nihii

SECTIONS = (
    "accounts:account",
    "practitioners:general",
    "practitioners:addresses",
    "ehealth:connection",
    "ehealth:edmg",
    "billing:financial",
)
OWN = (
    "home", "help", "ehealth:mailbox", "accounts:key", "accounts:sessions", "account_reauthenticate",
    "account_logout",
)  # fmt: skip
KEY = ("backup", "import", "rotate", "revoke", "lost", "prepared", "session")
MANAGERS = ("people", "practitioners:new", "practitioners:practice", "journal")
STRANGERS = ("account_login", "account_reset_password", "account_reset_password_done")


@dataclass(frozen=True)
class Visit:
    """A page as one person, or a stranger, sees it; `session` is what the session holds besides."""

    who: str
    user: User | None
    path: str
    status: int = 200
    session: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.who} {self.path}"


def ready_doctor(**facts: Any) -> User:
    """A doctor with every fact but the keystore and the registrations."""
    row = PractitionerFactory(**facts)
    AddressFactory(practitioner=row)
    FinancialFactory(practitioner=row)
    user: User = row.user
    user.billing_address = BillingAddressFactory(practice=user.practice)
    user.hub_region, user.sumehr_auto_send = "rsw", True
    user.save()
    day = timezone.localdate()
    Licence.objects.create(user=user, starts_on=day, ends_on=day + timedelta(days=45))
    return user


def with_mailbox(user: User, **facts: Any) -> User:
    now = timezone.now()
    box = Mailbox.objects.create(user=user, **{"auto": True, "polled_at": now, "next_poll_at": now} | facts)
    MailboxMessage.objects.create(
        mailbox=box, message_id="0000000000001", sender_name="CHU X", title="R-2026", size=2048,
        important=True, encrypted=True, has_annex=True, received_at=now, published_on=now.date(),
    )  # fmt: skip
    return user


def registrations(user: User, *states: tuple[str, str, str]) -> User:
    """One registration per mutuality, going round (state, code, place)."""
    request, now = EdmgRequestFactory(user=user), timezone.now()
    for number, mutuality in enumerate(Mutuality.values):
        state, code, place = states[number % len(states)]
        EdmgRegistrationFactory(
            request=request, mutuality=mutuality, state=state, result_code=code, result_place=place,
            next_attempt_at=now + timedelta(hours=1), outcome_unknown=state == "retrying",
            start_date=now.date() if state == "registered" else None,
        )  # fmt: skip
    return user


# --- every state of the connection, of the eDMG and of the mailbox ----------------------------
def connections() -> Iterator[tuple[str, User]]:
    now = timezone.now()
    states = Keystore.State
    shapes: dict[str, dict[str, Any]] = {
        "testing": {"state": states.TESTING},
        "testing, waits": {"state": states.TESTING, "result_code": "unreachable", "next_attempt_at": now},
        "refused": {"state": states.REFUSED, "result_code": "nihii_differs"},
        "stays": {"key": b"sealed", "stay_connected": True},
        "session over": {},
        "renewable": {"not_after": now + timedelta(days=60)},
        "urgent": {"not_after": now + timedelta(days=5), "result_code": "etk_differs"},
        "expired": {"not_after": now - timedelta(days=1)},
        "disconnected": {"state": states.DISCONNECTED},
    }
    for name, facts in shapes.items():
        user = ready_doctor()
        KeystoreFactory(user=user, **facts)
        yield f"connection {name}", user
    user = ready_doctor()
    KeystoreFactory(user=user)
    KeystoreFactory(user=user, state=states.REFUSED, result_code="SOA-01002")
    yield "connection refused, former kept", user
    user = ready_doctor()
    PlatformSession.objects.create(
        keystore=KeystoreFactory(user=user), key=b"sealed", chain=b"sealed", assertion=b"sealed",
        not_before=now - timedelta(hours=1), not_on_or_after=now + timedelta(hours=3),
    )  # fmt: skip
    yield "connection live", user


def requests() -> Iterator[tuple[str, User]]:
    """Doctors in every state of the eDMG, with codes about every part of the request."""
    states = EdmgRegistration.State
    mixes = {
        "under way": [(states.QUEUED, "", ""), (states.SENDING, "", ""), (states.RETRYING, "timed_out", "")],
        "refused": [(states.REJECTED, "130", "account"), (states.NEEDS_ACTION, "140", "")],
        "waiting": [(states.WAITING, "", ""), (states.RETRYING, "141", "")],
        "done": [(states.REGISTERED, "", ""), (states.ALREADY_REGISTERED, "168", "")],
    }
    for name, mix in mixes.items():
        yield f"eDMG {name}", registrations(with_key(ready_doctor()), *mix)
    yield "eDMG to ask", with_key(ready_doctor())


def with_key(user: User) -> User:
    KeystoreFactory(user=user, key=b"sealed")
    return user


def mailboxes() -> Iterator[tuple[str, User]]:
    yield "mailbox undecided", with_key(ready_doctor())
    yield "mailbox full", with_mailbox(with_key(ready_doctor()), standby=3)
    yield "mailbox in trouble", with_mailbox(with_key(ready_doctor()), result_code="unreachable", failures=2)
    yield "mailbox off", with_mailbox(ready_doctor(), auto=False, next_poll_at=None)
    user = ready_doctor()
    Mailbox.objects.create(user=user, auto=True)
    yield "mailbox empty", user


def tested() -> User:
    """A doctor with a check in each state, and exchanges of each kind; one address is left alone."""
    user, now = with_key(ready_doctor()), timezone.now()
    outcomes = (
        ("queued", ""),
        ("passed", ""),
        ("warning", "mailbox_full"),
        ("failed", "needs_nihii_gp"),
        ("running", ""),
    )
    for capability, (state, code) in zip(PlatformCheck.Capability.values, outcomes, strict=True):
        PlatformCheck.objects.create(
            user=user, capability=capability, state=state, code=code, asked_at=now, finished_at=now
        )
    for service, operation, code in (
        ("sts", "RequestSecurityToken", "OK"), ("sts", "RequestSecurityToken", "SOA-01001"),
        ("registration", "registerToMycarenetService", "168"), ("mailbox", "getBoxInfo", "timed_out"),
    ):  # fmt: skip
        Exchange.objects.create(
            user=user, service=service, operation=operation, code=code, host="127.0.0.1:1", started_at=now,
            milliseconds=12, http_status=200, reference="R-1",
        )  # fmt: skip
    Endpoint.objects.create(service="etk", host="127.0.0.1:9", opened_at=now, probe_at=now)
    return user


def watching(user: User) -> Iterator[Visit]:
    """How the platform answers, as the owner, a manager and the portal's staff see it."""
    manager = UserFactory(roles=["user_manager"], practice=user.practice)
    staff = UserFactory(roles=["reception"], is_staff=True)
    for name in ("ehealth:checks", "ehealth:checks_state", "ehealth:exchanges"):
        yield Visit("tested", user, reverse(name, args=[user.uuid]))
    yield Visit("manager about tests", manager, reverse("ehealth:checks", args=[user.uuid]))
    yield Visit("staff", staff, reverse("ehealth:exchanges", args=[user.uuid]))
    yield Visit("staff", staff, reverse("ehealth:all_exchanges"))
    yield Visit("staff", staff, reverse("platform"))
    yield Visit("staff", staff, reverse("platform") + "?search=x")
    yield Visit("staff", staff, reverse("platform_practice", args=[user.practice.uuid]))
    yield Visit("staff", staff, reverse("platform_person", args=[user.uuid]))
    yield Visit("staff", staff, reverse("ehealth:all_exchanges") + "?outcome=ok&service=etk")
    yield Visit("tested", user, reverse("home"))


# --- people -----------------------------------------------------------------------------------
def beginner(by: User) -> User:
    """Nothing filled in, an unverified address, another one on its way, a section to review."""
    user: User = PractitionerFactory(blank=True, user__practice=by.practice, user__verified=False).user
    EmailAddress.objects.create(user=user, email="autre@example.be", primary=False, verified=False)
    for section in ("practitioner/general", "account"):
        SectionReview.objects.create(
            user=user, section=section, version=1, prefilled_by=by, prefilled_at=timezone.now()
        )
    return user


def house() -> User:
    practice = PracticeFactory(type="flat_rate_house")
    row = PractitionerFactory(
        blank=True, user__practice=practice, user__roles=["admin"], profession="orgprimaryhealthcarecenter"
    )
    AssistantsAccount.objects.create(
        practice=practice, iban="BE67001000001187", bic="GEBABEBB", bic_source="derived"
    )
    user: User = row.user
    return user


def bringing_in(manager: User) -> Iterator[Visit]:
    """A file of people in each state; closing and opening an account."""
    from practitioners import imports

    now, name = timezone.now(), "practitioners:import_batch"
    yield Visit("manager", manager, reverse("practitioners:import"))
    yield Visit("manager", manager, reverse("practitioners:import_template", args=["csv"]))
    states: dict[str, dict[str, Any]] = {
        "checked": {},
        "queued": {"confirmed_at": now},
        "inviting": {"content": None, "confirmed_at": now},
        "done": {"content": None, "confirmed_at": now},
        "failed": {"content": None, "confirmed_at": now, "refusal": "LoginTaken", "refused_line": 3},
    }
    person = {
        "first_name": "Anne", "last_name": "Martin", "login": "anne@import.example", "language": "fr",
        "email": "anne@import.example", "profession": "persphysician", "roles": ["physician"],
    }  # fmt: skip
    for number, (state, facts) in enumerate(states.items()):
        by = UserFactory(practice=manager.practice, roles=["user_manager"])
        row = imports.propose(by=by, digest=str(number), people=[imports.Person(2, person)], now=now)
        type(row).objects.filter(pk=row.pk).update(state=state, **facts)
        yield Visit(f"import {state}", by, reverse(name, args=[row.uuid]))
        yield Visit(f"import {state}", by, reverse("practitioners:import_state", args=[row.uuid]))
    twice = PractitionerFactory().user
    yield Visit("in two practices", twice, reverse("ehealth:takeover", args=[twice.uuid]))
    closed = UserFactory(practice=manager.practice, is_active=False, deactivated_at=now)
    yield Visit("manager", manager, reverse("accounts:reactivate", args=[closed.uuid]))
    subject = UserFactory(practice=manager.practice)
    yield Visit("manager", manager, reverse("accounts:deactivate", args=[subject.uuid]))


def with_reset(subject: User, by: User, *, opened: bool) -> User:
    now = timezone.now()
    opens = now - timedelta(hours=1) if opened else now + timedelta(hours=48)
    KeyReset.objects.create(
        subject=subject, by=by, reason="Ordinateur volé", opens_at=opens, ends_at=opens + timedelta(days=7)
    )
    return subject


def own_pages(who: str, user: User) -> Iterator[Visit]:
    """All that somebody past the gates sees of the own account."""
    from medisetup.templatetags.medisetup import sections_of

    for name in OWN:
        yield Visit(who, user, reverse(name))
    for _key, name, _label in sections_of(user):
        yield Visit(who, user, reverse(name, args=[user.uuid]))


def factors() -> Iterator[Visit]:
    """Before a second factor, with one, and in a session that has given no code yet."""
    yield Visit("without factor", UserFactory(), reverse("accounts:factor"))
    yield Visit("with factor", with_factor(), reverse("accounts:factor"))
    for name in ("accounts:factor", "accounts:factor_prove"):
        yield Visit("no code yet", with_factor(), reverse(name), session={"factor_at": 0})


def with_factor() -> User:
    user, seed, now = UserFactory(), factor.new_seed(), timezone.now()
    code = TOTP(seed, factor.DIGITS, factor.HASH, factor.STEP_SECONDS).generate(int(now.timestamp()))
    factor.activate(user=user, seed=seed, code=code.decode(), now=now)
    return user


def journals(doctor: User, admin: User) -> Iterator[Visit]:
    """What happened, in every kind of line; nothing; a filter that cannot be read."""
    for kind in sorted(audit.KINDS):
        with transaction.atomic():
            audit.record(kind, actor=admin, subject=doctor, role="reception", until=timezone.now(), auto=True)
    with transaction.atomic():
        audit.record(
            "section:practitioner/addresses:saved",
            actor=admin,
            subject=doctor,
            **{"address city": ["", "Liège"], "address 2": ["Liège", None], "address 3 type": ["", "work"]},
        )
        audit.record("account:licence:expired", actor=None, system="licences", subject=doctor)
    yield Visit("doctor", doctor, reverse("history", args=[doctor.uuid]))
    yield Visit("admin", admin, reverse("journal") + "?group=sections")
    yield Visit("admin", admin, reverse("journal") + "?page=2")
    yield Visit("admin", admin, reverse("journal") + "?until=2020-01-01")
    yield Visit("admin", admin, reverse("journal") + "?since=x")


def pages_about(who: str, actor: User, subject: User) -> Iterator[Visit]:
    """All that a manager sees of somebody."""
    from medisetup.templatetags.medisetup import sections_of

    yield Visit(who, actor, reverse("person", args=[subject.uuid]))
    for _key, name, _label in sections_of(subject):
        yield Visit(who, actor, reverse(name, args=[subject.uuid]))


def support_pages(doctor: User) -> Iterator[Visit]:
    """Every list of support, that of one person too, and of each kind of row the last that was made."""
    from medisetup.support.site import site

    staff = UserFactory(is_staff=True)
    yield Visit("support", staff, reverse("support:index"))
    yield Visit("support", staff, reverse("support:accounts_user_change", args=[doctor.uuid]))
    pages = sorted(site._registry.values(), key=lambda page: page.name)
    addresses = {page.name: reverse(f"support:{page.name}_changelist") for page in pages}
    yield Visit("support", staff, f"{addresses['ehealth_edmgregistration']}?person={doctor.uuid}&q=x")
    for page in pages:
        yield Visit("support", staff, addresses[page.name])
        if page.facts:
            yield Visit("support", staff, page.url_of(page.model.objects.order_by("pk").last()))


def strangers_pages(practice_admin: User) -> Iterator[Visit]:
    for name in STRANGERS:
        yield Visit("stranger", None, reverse(name))
    yield Visit("stranger", None, reverse("account_reset_password_from_key_done"))
    now = timezone.now()
    invited = UserFactory(invited=True, key=False, practice=practice_admin.practice)
    path = invitations.link(invitations.send(user=invited, by=practice_admin, now=now))
    yield Visit("invited", None, path[path.index("/invitations") :])
    yield Visit("stranger", None, reverse("accounts:invitation", args=["x.y"]), 410)
    link = reset_link(UserFactory())
    yield Visit("forgetful", None, link[link.index("/signin") :], 302)
    yield Visit("forgetful", None, "/signin/reset/0-0/")
    address = EmailAddress.objects.get(user=UserFactory(verified=False))
    yield Visit("stranger", None, reverse("account_confirm_email", args=[EmailConfirmationHMAC(address).key]))
    yield Visit("stranger", None, reverse("account_confirm_email", args=["0-0"]))
    yield Visit("stranger", None, "/nowhere/", 404)


def key_pages(admin: User) -> Iterator[Visit]:
    yield Visit("no key", UserFactory(key=False), reverse("accounts:key"))
    yield Visit("no key", UserFactory(key=False), reverse("accounts:key_import"))
    pending = UserFactory(key=False)
    PersonalKeyFactory(user=pending, state=PersonalKey.State.PENDING, backup_at=None, protection="portal")
    yield Visit("backup to prove", pending, reverse("accounts:key_backup"))
    yield Visit("backup put off", pending, reverse("accounts:key"), session={"backup_postponed": True})
    user = UserFactory(key=False, practice=admin.practice)
    PersonalKeyFactory(user=user, prepared=True, protection="portal")
    PersonalKey.objects.create(
        user=user, fingerprint="f" * 64, spki=b"placeholder", bits=2048, state="superseded",
        protection="personal", ended_at=timezone.now(), end_reason="rotated",
    )  # fmt: skip
    for name in KEY:
        yield Visit("prepared key", user, reverse(f"accounts:key_{name}"))
    for opened in (False, True):
        subject = with_reset(UserFactory(practice=admin.practice), admin, opened=opened)
        for name in ("home", "accounts:key", "accounts:key_lost", "accounts:key_import"):
            yield Visit(f"reset opened={opened}", subject, reverse(name))
        yield Visit("reset", admin, reverse("accounts:key_reset", args=[subject.uuid]))
    yield Visit(
        "reset", admin, reverse("accounts:key_reset", args=[UserFactory(practice=admin.practice).uuid])
    )
    own = UserFactory()
    User.objects.filter(pk=own.pk).update(password_own_at=None)
    yield Visit("someone's password", own, reverse("accounts:own_password"))


def end_of_training(manager: User) -> Iterator[Visit]:
    """A trainee with a supervisor, a specialist in training, and somebody who is neither."""
    senior = FinancialFactory(practitioner__user__practice=manager.practice).practitioner
    row = PractitionerFactory(trainee=True, user__practice=manager.practice)
    FinancialFactory(practitioner=row, bce="", iban="", bic="", bic_source="", supervisor=senior)
    Licence.objects.create(user=row.user, starts_on=timezone.localdate(), ends_on=timezone.localdate())
    surgeon = PractitionerFactory(trainee=True, nihii=nihii(90_000, "014")).user
    name = "billing:end_of_training"
    yield Visit("trainee", row.user, reverse(name, args=[row.user.uuid]))
    yield Visit("manager", manager, reverse(name, args=[row.user.uuid]))
    yield Visit("future surgeon", surgeon, reverse(name, args=[surgeon.uuid]))
    yield Visit("supervisor", senior.user, reverse(name, args=[senior.user.uuid]))


def practice_pages(manager: User) -> Iterator[Visit]:
    """A practice of a few addresses, one in use; a house, before and after it leaves the flat rate."""
    page, name = reverse("practitioners:practice"), "accounts:billing_address"
    user = ready_doctor(user__practice=manager.practice)
    free = BillingAddressFactory(practice=manager.practice, bce="0100000169")
    yield Visit("manager", manager, reverse("accounts:new_billing_address"))
    yield Visit("address in use", manager, reverse(name, args=[user.billing_address.uuid]))
    yield Visit("address of nobody", manager, reverse(name, args=[free.uuid]))
    admin = house()
    yield Visit("flat rate", admin, page)
    Practice.objects.filter(pk=admin.practice_id).update(type=Practice.Type.GROUP)
    yield Visit("no flat rate any more", admin, page)
    yield Visit("no flat rate any more", admin, reverse("practitioners:general", args=[admin.uuid]))


def licence_pages(admin: User) -> Iterator[Visit]:
    """A licence on its important days, and the requests as staff sees them."""
    staff, today = UserFactory(is_staff=True), timezone.localdate()
    for age in (0, 30, 45, 46):
        user = ready_doctor()
        start = today - timedelta(days=age)
        Licence.objects.filter(user=user).update(starts_on=start, ends_on=start + timedelta(days=45))
        yield Visit(f"licence day {age}", user, reverse("billing:licence", args=[user.uuid]))
        yield Visit(f"licence day {age}", user, reverse("home"))
    known = known_elsewhere()
    for who, actor in (
        ("licence to request", known),
        ("admin", UserFactory(practice=known.practice, roles=["admin"])),
    ):
        yield Visit(who, actor, reverse("billing:licence", args=[known.uuid]))
    yield Visit("staff, nothing asked", staff, reverse("billing:licence_queue"))
    for stage in ("requested", "invoiced", "paid", "active"):
        user = licence_at(ready_doctor(user__practice=admin.practice), staff, stage)
        yield Visit(f"licence {stage}", user, reverse("billing:licence", args=[user.uuid]))
        if stage != "active":
            yield Visit(f"staff {stage}", staff, reverse("billing:licence_request", args=[user.uuid]))
    yield Visit("admin", admin, reverse("billing:licence", args=[user.uuid]))
    yield Visit("admin", admin, reverse("billing:licence", args=[admin.uuid]))
    yield Visit("staff", staff, reverse("billing:licence_queue"))


def known_elsewhere() -> User:
    """A doctor whose 45 days were used up with a first account in another practice."""
    user, today = ready_doctor(), timezone.localdate()
    day, first = today - timedelta(days=60), ready_doctor().licence
    number = user.practitioner.ssin
    first.claims.create(number=number, starts_on=day, ends_on=day + timedelta(days=45))
    licences.claim_provisional(licence=user.licence, numbers=[number], by=user, now=timezone.now())
    return user


def licence_at(user: User, staff: User, stage: str) -> User:
    """A request that has come as far as `stage`."""
    now, today = timezone.now(), timezone.localdate()
    number = user.practitioner.nihii
    row = licences.request_year(user=user, by=user, nihii=number, now=now)
    if stage != "requested":
        licences.record_invoice(request=row, number="2026-0117", day=today, by=staff, now=now)
    if stage in ("paid", "active"):
        licences.record_payment(request=row, day=today, by=staff, now=now)
    if stage == "active":
        licences.activate(request=row, by=staff, now=now)
    return user


def account_changes(admin: User) -> Iterator[Visit]:
    """A registered doctor before, during and after a change of account; the manager's view; a letter."""
    name = "ehealth:account_change"
    for language in ("fr", "nl", "de", "en"):
        doctor = registered(user__practice=admin.practice, user__language=language)
        begin_change(doctor)
        yield Visit(f"letter {language}", doctor, reverse(f"{name}_letter", args=[doctor.uuid, "100"]))
    yield Visit("change prepared", doctor, reverse(name, args=[doctor.uuid]))
    for code, days in (("100", 3), ("200", 3), ("200", 0)):
        day = timezone.localdate() - timedelta(days=days)
        act = account_change.mark_confirmed if not days else account_change.mark_sent
        act(user=doctor, by=doctor, mutuality=code, day=day, now=timezone.now())
    yield Visit("change under way", doctor, reverse(name, args=[doctor.uuid]))
    yield Visit("change under way", doctor, reverse("home"))
    yield Visit("admin", admin, reverse(name, args=[doctor.uuid]))
    fresh = registered()
    yield Visit("change to begin", fresh, reverse(name, args=[fresh.uuid]))
    blocked = ready_doctor()
    yield Visit("change impossible", blocked, reverse(name, args=[blocked.uuid]))


def registered(**facts: Any) -> User:
    """A doctor whom all seven mutualities pay on BE67 0010 0000 1187."""
    return registrations(ready_doctor(**facts), ("registered", "", ""))


def begin_change(doctor: User) -> None:
    account = BankAccount("BE54001000002197", "GEBABEBB", "derived")
    account_change.begin(user=doctor, by=doctor, account=account, now=timezone.now())


def visits() -> Iterator[Visit]:
    """Every page of the site, for everybody who sees it differently."""
    doctor = registrations(
        with_mailbox(with_key(ready_doctor(user__roles=["physician"]))),
        ("registered", "", ""),
        ("rejected", "141", ""),
    )
    manager = UserFactory(roles=["user_manager"], practice=doctor.practice)
    admin = UserFactory(roles=["admin"], practice=doctor.practice)
    new = beginner(manager)
    trainee = PractitionerFactory(trainee=True, user__practice=doctor.practice).user
    UserFactory(practice=doctor.practice, is_active=False, deactivated_at=timezone.now())
    invited = UserFactory(practice=doctor.practice, invited=True, key=False)
    invitations.send(user=invited, by=admin, now=timezone.now())
    yield from own_pages("doctor", doctor)
    yield from own_pages("beginner", new)
    yield from own_pages("trainee", trainee)
    yield from own_pages("house", house())
    yield from own_pages("receptionist", UserFactory(roles=["reception"]))
    for who, actor in (("manager", manager), ("admin", admin)):
        for name in MANAGERS:
            yield Visit(who, actor, reverse(name))
        yield from pages_about(f"{who} about the doctor", actor, doctor)
        yield from pages_about(f"{who} about a beginner", actor, new)
    for subject in (invited, User.objects.get(is_active=False, practice=doctor.practice)):
        yield Visit("admin about others", admin, reverse("person", args=[subject.uuid]))
    for who, user in connections():
        for name in ("ehealth:connection", "ehealth:connection_state"):
            yield Visit(who, user, reverse(name, args=[user.uuid]))
        yield Visit(who, user, reverse("home"))
    for who, user in requests():
        for name in ("ehealth:edmg", "ehealth:edmg_state"):
            yield Visit(who, user, reverse(name, args=[user.uuid]))
        yield Visit(who, user, reverse("home"))
    for who, user in mailboxes():
        yield Visit(who, user, reverse("ehealth:mailbox"))
    yield from watching(tested())
    yield from factors()
    yield from journals(doctor, admin)
    yield from licence_pages(admin)
    yield from practice_pages(manager)
    yield from account_changes(admin)
    yield from end_of_training(manager)
    yield from bringing_in(UserFactory(roles=["user_manager"], practice=PracticeFactory()))
    yield from key_pages(admin)
    yield from strangers_pages(admin)
    yield from support_pages(doctor)
    yield Visit("doctor", doctor, reverse("people"), 403)
