"""A furnished practice for a first look: a manager, an administrator, doctors in each state.

Everything goes through the same actions as the pages. Keystores come from the running simulator; they, the
key files and all passwords lie in one folder. Safe to run again: an existing practice is only described.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from accounts.actions import invitations, people
from accounts.actions.account import save_account
from accounts.actions.keys import KeyFile, confirm_backup, register_key
from accounts.actions.practices import create_address
from accounts.actions.sections import section_version
from accounts.identifiers import canonical_login
from accounts.keys import parse_public_key
from accounts.models import Invitation, Practice, User
from billing import bank
from billing.actions import save_financial
from ehealth import conditions
from ehealth.actions import connection, edmg
from ehealth.models import Keystore, Mutuality
from ehealth.simulator import der
from ehealth.simulator.control import calm, give
from ehealth.simulator.pkcs12 import modern_encrypt
from practitioners.actions import create_person, save_addresses, save_general
from practitioners.reference import PHYSICIAN

PRACTICE = "Cabinet médical du Parc"
PASSWORD = "Prairie€Bleue7"  # noqa: S105  on a demonstration only, shown to everybody
KEYSTORE_PASSWORD = "Trousseau-2026"  # noqa: S105  on a demonstration only, shown to everybody
ROUNDS = 600_000
KEY_PASSPHRASE = "quatre chevaux bleus au Parc 9"  # noqa: S105  on a demonstration only, shown to everybody


@dataclass(frozen=True)
class Someone:
    """A person of the demonstration and how far they are: `steps` are names of methods of `Furnisher`."""

    first_name: str
    last_name: str
    roles: tuple[str, ...]
    state: str
    profession: str = PHYSICIAN
    language: str = "fr"
    ssin: str = ""
    nihii: str = ""
    keystore: str = ""
    steps: tuple[str, ...] = ()

    @property
    def login(self) -> str:
        return f"{canonical_login(self.first_name)}.{canonical_login(self.last_name)}@parc.example".replace(
            "é", "e"
        ).replace("ë", "e")


ALL = ("activate", "key", "general", "addresses", "account", "financial", "connect", "register")
ONLINE = ("connect", "register")
PEOPLE = (
    Someone("Marc", "Dubois", ("user_manager",), "gestionnaire", "persadministrative", steps=("activate",)),
    Someone(
        "Claire",
        "Lemaire",
        ("physician",),
        "prête",
        ssin="75031498594",
        nihii="19990116003",
        keystore="rsa",
        steps=ALL,
    ),
    Someone(
        "Pieter",
        "Maes",
        ("physician",),
        "connecté, données financières manquantes",
        language="nl",
        ssin="68022999166",
        nihii="19990215004",
        keystore="p384",
        steps=(*ALL[:5], "connect"),
    ),
    Someone(
        "Nadia",
        "Benali",
        ("physician_trainee",),
        "assistante, maître de stage à choisir",
        ssin="01063098847",
        nihii="19990413005",
        keystore="two-keys-enc-first",
        steps=ALL[:5],
    ),
    Someone(
        "Julie",
        "Simon",
        ("physician",),
        "préremplie, à vérifier",
        ssin="88050095852",
        nihii="19990314001",
        keystore="rsa",
        steps=("activate", "key", "prefill"),
    ),
    Someone(
        "Olivier",
        "Claes",
        ("physician",),
        "certificat bientôt expiré",
        ssin="71091290397",
        nihii="19990182003",
        keystore="near-expiry",
        steps=ALL[:7],
    ),
    Someone(
        "Anne", "Petit", ("reception",), "accueil", "persadministrative", steps=("activate", "key", "account")
    ),
    Someone(
        "Koen",
        "Janssens",
        ("paramedical",),
        "infirmier, débute",
        "persnurse",
        language="nl",
        steps=("activate", "key"),
    ),
    Someone("Paul", "Noël", ("physician",), "désactivé", steps=("activate", "deactivate")),
    Someone(
        "Élise",
        "Fontaine",
        ("physician",),
        "invitée, jamais connectée : commencez par elle",
        ssin="82110297684",
        nihii="19904301004",
        keystore="two-keys-enc-first",
    ),
)
ADDRESS = {
    "uuid": None,
    "type": "work",
    "description": "",
    "street": "Avenue du Parc",
    "number": "7",
    "box": "",
    "postcode": "5000",
    "city": "Namur",
    "country": "BE",
    "telecoms": [("email", "cabinet@parc.example"), ("phone", "+3281222222")],
}
INVOICES = {
    "name": "Cabinet médical du Parc SRL",
    "bce": "0100000169",
    "street": "Avenue du Parc",
    "number": "7",
    "box": "",
    "postcode": "5000",
    "city": "Namur",
    "country": "BE",
    "email": "factures@parc.example",
}


class Furnisher:
    """Makes the practice through the actions; `by` is whoever acts."""

    def __init__(self, folder: Path, simulator: Path, now: datetime) -> None:
        self.folder, self.simulator, self.now = folder, simulator, now

    def furnish(self) -> None:
        """All people or none; then, outside any transaction, those who are connected meet the platform."""
        with transaction.atomic():
            if not Practice.objects.filter(name=PRACTICE).exists():
                self.people()
        for someone in PEOPLE:
            user = User.objects.get(login=someone.login)
            for step in (step for step in someone.steps if step in ONLINE):
                getattr(self, step)(user, someone)

    def people(self) -> None:
        self.practice = Practice.objects.create(name=PRACTICE, type=Practice.Type.GROUP)
        self.admin = people.create_user(
            practice=self.practice,
            login="sophie.renard@parc.example",
            email="sophie.renard@parc.example",
            first_name="Sophie",
            last_name="Renard",
            language="fr",
            roles=["admin"],
            by=None,
            now=self.now,
        )
        self.activate(self.admin, None)
        self.address = create_address(by=self.admin, values=INVOICES, now=self.now)
        for someone in PEOPLE:
            self.keystore(someone)
            user = create_person(
                practice=self.practice,
                by=self.admin,
                now=self.now,
                login=someone.login,
                email=someone.login,
                last_name=someone.last_name,
                first_name=someone.first_name,
                language=someone.language,
                profession=someone.profession,
                roles=someone.roles,
            )
            for step in (step for step in someone.steps if step not in ONLINE):
                getattr(self, step)(user, someone)

    def keystore(self, someone: Someone) -> None:
        """The person in the platform's register, and the .p12 as the platform would issue it."""
        if not someone.keystore:
            return
        give(
            self.simulator,
            "people",
            {
                "ssin": someone.ssin,
                "first_name": someone.first_name,
                "last_name": someone.last_name,
                "nihii11": someone.nihii,
            },
        )
        order = {"ssin": someone.ssin, "kind": someone.keystore, "password": KEYSTORE_PASSWORD}
        data = base64.b64decode(give(self.simulator, "keystores", order)["p12"])
        self._path(someone.last_name, ".p12").write_bytes(data)
        give(self.simulator, "messages", {"ssin": someone.ssin, "count": 7})

    def _path(self, name: str, suffix: str) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / f"{name.casefold().replace('ë', 'e')}{suffix}"

    def activate(self, user: User, someone: Someone | None) -> None:
        invitations.activate(invitation=Invitation.objects.get(user=user), password=PASSWORD, now=self.now)
        user.refresh_from_db()

    def key(self, user: User, someone: Someone) -> None:
        """A pair as another program would have made it; its file can be imported at the first sign-in."""
        pair = rsa.generate_private_key(public_exponent=65537, key_size=3072)
        spki = pair.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        clear = pair.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        algorithm, sealed = modern_encrypt(clear, KEY_PASSPHRASE, ROUNDS)
        body = base64.encodebytes(der.sequence(algorithm, der.octets(sealed))).decode()
        pem = f"-----BEGIN ENCRYPTED PRIVATE KEY-----\n{body}-----END ENCRYPTED PRIVATE KEY-----\n"
        self._path(someone.last_name, ".cle.pem").write_text(pem)
        judged = parse_public_key(base64.b64encode(spki).decode())
        register_key(user=user, key=judged, file=KeyFile("personal", ""), origin="imported", now=self.now)
        confirm_backup(user=user, now=self.now)

    def general(self, user: User, someone: Someone, by: User | None = None) -> None:
        trainee = "physician_trainee" in someone.roles
        save_general(
            user=user,
            by=by or user,
            version=section_version(user, "practitioner/general"),
            now=self.now,
            last_name=someone.last_name,
            first_name=someone.first_name,
            language=someone.language,
            civility="dr",
            title="",
            other_languages=[],
            profession=someone.profession,
            ssin=someone.ssin,
            nihii=someone.nihii,
            speciality="general_practice",
            training_status="trainee" if trainee else "recognised",
            company_name="",
            house_contact_ssin="",
            house_nihii="",
            house_contact=None,
        )

    def addresses(self, user: User, someone: Someone, by: User | None = None) -> None:
        version = section_version(user, "practitioner/addresses")
        save_addresses(user=user, by=by or user, version=version, now=self.now, addresses=[ADDRESS])

    def prefill(self, user: User, someone: Someone) -> None:
        manager = User.objects.get(login=PEOPLE[0].login)
        self.general(user, someone, by=manager)
        self.addresses(user, someone, by=manager)

    def account(self, user: User, someone: Someone) -> None:
        save_account(
            user=user,
            by=user,
            version=section_version(user, "account"),
            now=self.now,
            login=user.login,
            email=user.email,
            roles=someone.roles,
            password="",
            current_password="",
            billing_address=self.address,
            new_address=None,
            hub_region="rsw",
            sumehr_auto_send=False,
            same_roof_search=False,
        )

    def financial(self, user: User, someone: Someone) -> None:
        save_financial(
            user=user,
            by=user,
            version=section_version(user, "billing/financial"),
            now=self.now,
            company_name="",
            bce="0100012344",
            convention="conventioned",
            convention_hours="",
            supervisor=None,
            account=bank.account("BE67001000001187"),
            assistants_account=None,
            shared_changed=False,
        )

    def connect(self, user: User, someone: Someone) -> None:
        if Keystore.objects.filter(user=user).exists():
            return
        keystore = connection.store(
            user=user,
            by=user,
            data=self._path(someone.last_name, ".p12").read_bytes(),
            password=KEYSTORE_PASSWORD,
            file_name="keystore.p12",
            auto=True,
            version=section_version(user, "ehealth/connection"),
            now=self.now,
        )
        connection.test(keystore_pk=keystore.pk, now=timezone.now())

    def register(self, user: User, someone: Someone) -> None:
        if user.edmg_registrations.exists():
            return
        account = bank.account("BE67001000001187")
        edmg.request(
            user=user,
            by=user,
            accounts=dict.fromkeys(Mutuality.values, account),
            same_account=True,
            conditions_version=conditions.VERSION,
            language=user.language,
            proved_at=timezone.now(),
            version=section_version(user, "ehealth/edmg"),
            now=timezone.now(),
        )

    def deactivate(self, user: User, someone: Someone) -> None:
        people.deactivate(user=user, by=self.admin, now=self.now)


def described(folder: Path) -> str:
    """What the first look needs: accounts, passwords, where the files are."""
    lines = [f"{PRACTICE} : mot de passe {PASSWORD}", "  sophie.renard@parc.example    administratrice"]
    lines += [f"  {someone.login:<30}{someone.state}" for someone in PEOPLE]
    lines += [
        "",
        f"Fichiers : {folder}",
        f"  <nom>.p12      trousseau eHealth, mot de passe {KEYSTORE_PASSWORD}",
        f"  <nom>.cle.pem  clé personnelle, phrase secrète « {KEY_PASSPHRASE} »",
        f"Courrier : {settings.PORTAL_ORIGIN}/outbox/ (l'invitation d'Élise Fontaine s'y trouve)",
    ]
    return "\n".join(lines)


class Command(BaseCommand):
    help = "Furnish a practice for a first look (demonstration only)."

    def handle(self, *args: Any, **options: Any) -> None:
        folder = settings.DEMO_DIR if settings.DEMO else None
        if folder is None or settings.EHEALTH_ENVIRONMENT != "simulation":
            raise CommandError("demo: only where DEMO is true and the platform is the simulator")
        # The simulator keeps its trust anchors, and its control token, in one folder.
        simulator = Path(settings.EHEALTH_ISSUERS_FILE).parent
        with calm(simulator):
            Furnisher(folder, simulator, timezone.now()).furnish()
        text = described(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "LISEZMOI.txt").write_text(text + "\n")
        self.stdout.write(text)
