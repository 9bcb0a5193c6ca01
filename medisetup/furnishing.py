"""A platform full of invented practices and people, for boards to be looked at and timed.

Set-based and the same for the same seed. Numbers have right check digits; nobody is real. Keystores are facts
without a file or a key, so nothing here can call the platform.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from allauth.account.models import EmailAddress
from django.contrib.auth.hashers import make_password
from django.db import connection, transaction
from django.db.models import F, Model

from accounts.models import (
    BillingAddress,
    Invitation,
    Licence,
    PersonalKey,
    Practice,
    RoleGrant,
    SectionReview,
    User,
)
from billing.models import FinancialSettings
from ehealth.models import EdmgRegistration, EdmgRequest, Keystore, Mailbox, Mutuality
from practitioners.models import Address, Practitioner, Telecom
from practitioners.reference import GENERAL_PRACTICE, PHYSICIAN

M = TypeVar("M", bound=Model)
BATCH = 1_000
DAY = timedelta(days=1)
FIRST_NAMES = {
    "fr": "Anne Antoine Benoît Camille Caroline Cédric Claire Damien Delphine Élise Fabienne "
    "François Gaëlle Guillaume Hélène Hugo Inès Julien Laure Louis Marc Mathieu Nadia "
    "Nathalie Olivier Pauline Philippe Sophie Thomas Valérie Xavier Yasmine",
    "nl": "An Anke Bart Bram Charlotte Dries Els Eva Femke Filip Griet Hanne Ilse Ine Jan Jeroen "
    "Joris Karel Katrien Lieve Lore Maarten Mieke Nele Pieter Ruben Sofie Stijn Tine Tom "
    "Veerle Wouter",
    "de": "Anja Bernd Birgit Claudia Dirk Elke Frank Gisela Heike Jürgen Karin Lukas Monika Ralf Silke Uwe",
    "en": "Alice Brian Chloe Daniel Emma Frank Grace Henry Isla Jack Kate Liam Mary Oliver Sarah Thomas",
}
LAST_NAMES = {
    "fr": "Bertrand Bodart Claessens Collard Delvaux Denis Dumont Evrard Fontaine François Gérard "
    "Gillet Grégoire Henrion Jacquemin Lacroix Lambert Leclercq Marchal Mathy Noël Paquet "
    "Petit Pirard Renard Servais Simon Thiry Toussaint Wauters",
    "nl": "Aerts Boonen Bogaert Claes Cools Coppens Desmet Devos Dewitte Engels Goossens Hermans "
    "Jacobs Janssens Lemmens Maes Martens Mertens Michiels Peeters Pauwels Rombouts Smets "
    "Stevens Thijs Verhoeven Vermeulen Verstraete Willems Wouters",
    "de": "Becker Fischer Heinen Hoffmann Jost Keller Lentz Meyer Müller Pauels Radermacher Schmitz "
    "Schröder Thönnes Weber Zimmermann",
    "en": "Baker Carter Davies Evans Foster Green Hughes King Mason Morgan Parker Price Turner "
    "Walker Wood Young",
}
PLACES = {
    "fr": [("5000", "Namur"), ("4000", "Liège"), ("7000", "Mons"), ("1050", "Ixelles"), ("6700", "Arlon")],
    "nl": [("9000", "Gent"), ("2000", "Antwerpen"), ("3000", "Leuven"), ("8000", "Brugge")],
    "de": [("4700", "Eupen"), ("4780", "Sankt Vith"), ("4760", "Büllingen")],
    "en": [("1000", "Bruxelles"), ("1040", "Etterbeek")],
}
STREETS = ("Rue de la Station", "Kerkstraat", "Avenue du Parc", "Dorpsstraat", "Hauptstraße", "Grand-Place")
# What a practice is, and what it is called after; the first kind of each language is a house.
KINDS = {
    "fr": ("Maison médicale", "Cabinet médical", "Centre médical", "Groupe médical"),
    "nl": ("Medisch huis", "Huisartsenpraktijk", "Groepspraktijk", "Dokterspraktijk"),
    "de": ("Medizinisches Haus", "Gemeinschaftspraxis", "Hausarztpraxis"),
    "en": ("Medical house", "Medical practice", "Family practice"),
}
CALLED = {
    "fr": "du Parc;de la Gare;des Tilleuls;du Canal;Saint-Roch;du Vieux Marché;des Trois Ponts",
    "nl": "De Linde;Het Park;De Brug;Sint-Jan;De Molen;Ter Beke;De Markt;'t Kasteel",
    "de": "am Park;an der Linde;am Markt;an der Brücke;am Bahnhof",
    "en": "Park Lane;Station Road;Old Market;Canal Side",
}
LANGUAGES = ("fr",) * 45 + ("nl",) * 48 + ("de",) * 4 + ("en",) * 3
PROFESSIONS = (PHYSICIAN,) * 70 + ("persnurse",) * 12 + ("persadministrative",) * 18
# How far somebody came, each step implying those before it. Of a hundred practices so many have just begun,
# are under way, are settled; and of a hundred people in each so many stop at each step.
STEPS = ("invited", "activated", "key", "general", "address", "finance", "connected", "edmg", "ready")
STAGES = (
    (15, (46, 14, 10, 10, 6, 5, 5, 3, 1)),
    (50, (8, 6, 6, 8, 6, 8, 10, 8, 40)),
    (35, (1, 1, 1, 1, 1, 2, 2, 3, 88)),
)
OUTCOMES = (("registered", ""),) * 60 + (
    ("already_registered", "168"), ("already_registered", "168"), ("queued", ""), ("sending", ""),
    ("retrying", "unreachable"), ("retrying", "141"), ("waiting", ""), ("rejected", "140"),
    ("rejected", "130"), ("needs_action", "SOA-01002"), ("needs_action", "worker_lost"),
)  # fmt: skip


class AlreadyFurnished(Exception):
    """There are practices enough: furnish an empty installation."""


@dataclass
class _Batch:
    """Rows of each model, kept until they are written together."""

    rows: dict[type[Model], list[Any]] = field(default_factory=dict)

    def add(self, row: M) -> M:
        self.rows.setdefault(type(row), []).append(row)
        return row

    def write(self, models: Sequence[type[Model]]) -> None:
        for model in models:
            model._base_manager.bulk_create(self.rows.get(model, []), batch_size=BATCH)


def furnish(*, practices: int, people: int, seed: int, now: datetime) -> dict[str, int]:
    """Make that many practices with that many people in all; how many rows of each kind.

    All or nothing. Raises `AlreadyFurnished` when there are as many practices as asked for.
    """
    if Practice.objects.count() >= practices:
        raise AlreadyFurnished
    maker = _Maker(random.Random(seed), now)  # noqa: S311  (chance, not a secret)
    with transaction.atomic():
        homes = maker.practices(practices)
        others = maker.chance.choices(homes, [home.weight for home in homes], k=people - practices)
        for number, home in enumerate([*homes, *others]):
            maker.person(number, home, manages=number < practices)
        maker.batch.write(ORDER)
        # Rows are born now, whatever they say; an activated account is a day older than its activation.
        invented = User.objects.get_queryset().filter(login__endswith="@furnished.example")
        invented.filter(activated_at__isnull=False).update(created_at=F("activated_at") - DAY)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return {model._meta.model_name or "": len(rows) for model, rows in maker.batch.rows.items()}


ORDER: tuple[type[Model], ...] = (
    Practice, BillingAddress, User, EmailAddress, RoleGrant, Invitation, PersonalKey, Practitioner, Address,
    Telecom, FinancialSettings, Licence, SectionReview, Keystore, EdmgRequest, EdmgRegistration, Mailbox,
)  # fmt: skip


@dataclass(frozen=True)
class _Home:
    """A practice: how many of a hundred of its people stop at each step, and its size beside the others."""

    practice: Practice
    billing: BillingAddress
    language: str
    stops: Sequence[int]
    weight: float


class _Maker:
    def __init__(self, chance: random.Random, now: datetime) -> None:
        self.chance, self.now, self.batch = chance, now, _Batch()
        self.today = now.date()
        self.names: set[str] = set()
        # Nobody signs in here: one hash of nothing serves everybody.
        self.password = make_password(None)

    def ago(self, most: int) -> datetime:
        return self.now - timedelta(minutes=self.chance.randrange(most * 24 * 60))

    def practices(self, count: int) -> list[_Home]:
        """From a single doctor to a large house, the first of them under way."""
        stages = self.chance.choices([stops for _, stops in STAGES], [share for share, _ in STAGES], k=count)
        stages[0] = STAGES[1][1]
        return [self._home(number, stops) for number, stops in enumerate(stages)]

    def _home(self, number: int, stops: Sequence[int]) -> _Home:
        language = self.chance.choice(LANGUAGES)
        postcode, city = self.chance.choice(PLACES[language])
        name = self._name(language, city)
        kind = "fee_for_service_house" if name.startswith(KINDS[language][0]) else "group"
        practice = self.batch.add(Practice(name=name, type=kind))
        billing = BillingAddress(
            practice=practice, name=name, street=self.chance.choice(STREETS), number=str(number % 90 + 1),
            postcode=postcode, city=city, email=f"facturation{number}@furnished.example",
        )  # fmt: skip
        weight = min(self.chance.lognormvariate(0, 0.8), 4)
        return _Home(practice, self.batch.add(billing), language, stops, weight)

    def _name(self, language: str, city: str) -> str:
        called = self.chance.choice(CALLED[language].split(";"))
        plain = name = f"{self.chance.choice(KINDS[language])} {called}, {city}"
        again = 1
        while name in self.names:
            again += 1
            name = f"{plain} {again}"
        self.names.add(name)
        return name

    def person(self, number: int, home: _Home, *, manages: bool) -> None:
        language = home.language if self.chance.random() < 0.85 else self.chance.choice(LANGUAGES)
        profession = "persadministrative" if manages else self.chance.choice(PROFESSIONS)
        step = max(self.chance.choices(range(len(STEPS)), home.stops)[0], manages)
        user = self._user(number, home, language, step)
        self._roles(user, profession, manages)
        if step >= 2:
            self._key(user)
        row = self._practitioner(user, number, profession, step)
        if step >= 4 and profession != "persadministrative":
            self._address(row, language)
        if profession == PHYSICIAN:
            self._physician(user, row, number, step)

    def _user(self, number: int, home: _Home, language: str, step: int) -> User:
        login = f"person{number}@furnished.example"
        created = self.ago(340) - 60 * DAY if step >= 8 else self.ago(90)
        active = self.chance.random() > 0.02
        user = User(
            practice=home.practice, login=login, login_key=login, email=login, email_key=login,
            language=language,
            first_name=self.chance.choice(FIRST_NAMES[language].split()),
            last_name=self.chance.choice(LAST_NAMES[language].split()),
            is_active=active, deactivated_at=None if active else self.now, password=self.password,
            activated_at=created + DAY if step else None, password_own_at=created + DAY if step else None,
            billing_address=home.billing if step >= 3 else None, hub_region="none" if step >= 3 else "",
            sumehr_auto_send=False if step >= 3 else None,
            ready_at=created + timedelta(days=self.chance.randrange(2, 60)) if step >= 8 else None,
        )  # fmt: skip
        self.batch.add(user)
        self.batch.add(EmailAddress(user=user, email=login, primary=True, verified=step >= 1))
        if step == 0:
            sent = self.ago(6)
            self.batch.add(Invitation(user=user, email_key=login, expires_at=sent + 3 * DAY, created_at=sent))
        return user

    def _roles(self, user: User, profession: str, manages: bool) -> None:
        roles = {PHYSICIAN: "physician", "persnurse": "paramedical"}.get(profession, "reception")
        self.batch.add(RoleGrant(user=user, role="user_manager" if manages else roles))

    def _key(self, user: User) -> None:
        fingerprint = hashlib.sha256(user.login.encode()).hexdigest()
        self.batch.add(
            PersonalKey(
                user=user, fingerprint=fingerprint, spki=b"furnished", bits=3072, state="active",
                protection="personal", backup_at=self.now, backup_reread_at=self.now,
            )
        )  # fmt: skip

    def _practitioner(self, user: User, number: int, profession: str, step: int) -> Practitioner:
        filled = step >= 3 and profession != "persadministrative"
        physician = filled and profession == PHYSICIAN
        row = Practitioner(
            user=user, practice=user.practice, profession=profession,
            civility="dr" if physician else "none" if filled else "",
            speciality=GENERAL_PRACTICE if physician else "",
            ssin=ssin(number) if filled else "", nihii=nihii(number) if physician else "",
            training_status="recognised" if physician else "",
        )  # fmt: skip
        if filled and self.chance.random() < 0.1:
            self.batch.add(
                SectionReview(
                    user=user, section="practitioner/general", version=1, prefilled_by=user,
                    prefilled_at=self.ago(30),
                )
            )  # fmt: skip
        return self.batch.add(row)

    def _address(self, row: Practitioner, language: str) -> None:
        postcode, city = self.chance.choice(PLACES[language])
        address = self.batch.add(
            Address(
                practitioner=row, street=self.chance.choice(STREETS),
                number=str(self.chance.randrange(1, 200)), postcode=postcode, city=city,
            )
        )  # fmt: skip
        self.batch.add(Telecom(address=address, type="phone", value="+3281223344"))
        self.batch.add(Telecom(address=address, type="email", value=row.user.email))

    def _physician(self, user: User, row: Practitioner, number: int, step: int) -> None:
        self._licence(user)
        if step >= 5:
            self.batch.add(
                FinancialSettings(
                    practitioner=row, bce="0100000169", convention="conventioned",
                    iban=iban(number), bic="GEBABEBB", bic_source="derived",
                )
            )  # fmt: skip
        if step >= 6:
            self._keystore(user, row, number)
        if step >= 7:
            self._registrations(user, number)

    def _licence(self, user: User) -> None:
        age = self.chance.randrange(0, 60)
        start = self.today - timedelta(days=age)
        if age > 20:
            year = self.today - timedelta(days=self.chance.randrange(0, 364))
            licence = Licence(user=user, state="active", starts_on=year, ends_on=year + timedelta(days=365))
        else:
            state = self.chance.choice(("provisional", "provisional", "requested", "invoiced"))
            ends = start + timedelta(days=Licence.PROVISIONAL_DAYS)
            licence = Licence(user=user, state=state, starts_on=start, ends_on=ends)
        self.batch.add(licence)

    def _keystore(self, user: User, row: Practitioner, number: int) -> None:
        refused = self.chance.random() < 0.05
        self.batch.add(
            Keystore(
                user=user, state="refused" if refused else "active", sha256="0" * 64, ssin=row.ssin,
                holder_name=user.get_full_name().upper(), serial=str(number), issuer_name="Simulation",
                not_before=self.now - 400 * DAY,
                not_after=self.now + timedelta(days=self.chance.randrange(-20, 900)),
                tested_at=self.now - DAY, result_code="not_a_physician" if refused else "",
            )
        )  # fmt: skip
        failing = self.chance.random() < 0.06
        self.batch.add(
            Mailbox(
                user=user, auto=self.chance.random() < 0.8, next_poll_at=None,
                polled_at=self.now - timedelta(minutes=self.chance.randrange(0, 40)),
                failures=self.chance.randrange(1, 9) if failing else 0,
                result_code=self.chance.choice(("unreachable", "timed_out", "SOA-02002")) if failing else "",
                standby=self.chance.choice((0,) * 30 + (3,)),
            )
        )  # fmt: skip

    def _registrations(self, user: User, number: int) -> None:
        asked = self.ago(200)
        consent = EdmgRequest(
            user=user, conditions_version="1", conditions_language=user.language, same_account=True,
            accounts=dict.fromkeys(Mutuality.values, iban(number)), proved_at=asked, accepted_at=asked,
        )  # fmt: skip
        self.batch.add(consent)
        for code in Mutuality.values:
            state, result = self.chance.choice(OUTCOMES)
            self.batch.add(
                EdmgRegistration(
                    user=user, request=consent, mutuality=code, state=state, result_code=result,
                    iban=iban(number), bic="GEBABEBB", reference=f"furnished-{number}-{code}",
                    queued_at=asked, start_date=asked.date() if state == "registered" else None,
                )
            )  # fmt: skip


def _checked(body: int) -> int:
    return 97 - body % 97


def ssin(number: int) -> str:
    """A national number of somebody born between 1955 and 1984, with its check digits."""
    days, serial = divmod(number, 990)
    body = int(f"{55 + days % 30:02}{days % 12 + 1:02}{days % 28 + 1:02}{serial + 1:03}")
    return f"{body:09}{_checked(body):02}"


def nihii(number: int) -> str:
    """An INAMI number of a general practitioner, with its check digits."""
    body = 100_000 + number % 899_999
    return f"{body:06}{_checked(body):02}003"


def iban(number: int) -> str:
    """A Belgian account of an invented number, with both pairs of check digits."""
    body = 1_000_000 + number
    account = f"001{body:07}"
    account += f"{int(account) % 97 or 97:02}"
    return f"BE{98 - int(f'{account}111400') % 97:02}{account}"


def counted(rows: Iterable[tuple[str, int]]) -> str:
    """« 10000 user, … » for whoever called."""
    return ", ".join(f"{count} {name}" for name, count in rows)
