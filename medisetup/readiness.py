"""« Vous êtes maintenant prêt »: items R01–R21, each written once as database expressions.

The same annotations serve the person's checklist, the manager's list and the totals. An item's state
is one of: done, todo, waiting (on somebody or something else), problem, not_applicable. `ready` is:
every applicable blocking item done. Nothing here calls the platform or reads a row one by one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from allauth.account.models import EmailAddress
from django.db.models import BooleanField, Case, CharField, Exists, F, OuterRef, Q, QuerySet, Value, When
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.models import Licence, PersonalKey, RoleGrant, SectionReview, User
from billing.models import FinancialSettings
from ehealth.models import EdmgRegistration, Keystore, Mailbox, Mutuality
from practitioners.models import Address, Practitioner, Telecom
from practitioners.reference import HOUSE, NOT_CAREGIVERS, PHYSICIAN, professions

DONE, TODO, WAITING, PROBLEM, NOT_APPLICABLE = "done", "todo", "waiting", "problem", "not_applicable"
STATES = {
    DONE: _("Fait"),
    TODO: _("À faire"),
    WAITING: _("En attente"),
    PROBLEM: _("Problème"),
    NOT_APPLICABLE: _("Sans objet"),
}
BLOCKING, RECOMMENDED = "blocking", "recommended"
ALWAYS, NEVER = Q(pk__isnull=False), Q(pk__isnull=True)
CONNECTION_TEST_VALID = timedelta(days=30)
LICENCE_WARNING_DAY = 30


@dataclass(frozen=True)
class Item:
    """One line of the checklist. `applies`, `done`, `problem`, `waiting` are conditions on `User`.

    `link` names the section's URL (`app:name`, taking the person's uuid), with `#field` when one field is meant.
    """

    id: str
    key: str
    level: str
    title: str | Promise
    unlocks: str | Promise
    link: str
    done: Q | Exists
    applies: Q | Exists = ALWAYS
    problem: Q | Exists = NEVER
    waiting: Q | Exists = NEVER
    owner_only: bool = False
    annotation: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "annotation", f"item_{self.key}")

    def state(self) -> Case:
        """The state as one expression; the first that holds wins."""
        return Case(
            When(~Q(self.applies), then=Value(NOT_APPLICABLE)),
            When(Q(self.problem), then=Value(PROBLEM)),
            When(Q(self.done), then=Value(DONE)),
            When(Q(self.waiting), then=Value(WAITING)),
            default=Value(TODO),
            output_field=CharField(),
        )


def of_user(model: Any, path: str = "user", **conditions: Any) -> QuerySet[Any]:
    return model._default_manager.filter(**{path: OuterRef("pk")}, **conditions)


def practitioner(*conditions: Q, **named: Any) -> Exists:
    return Exists(of_user(Practitioner).filter(*conditions, **named))


def financial(*conditions: Q, **named: Any) -> Exists:
    return Exists(of_user(FinancialSettings, "practitioner__user").filter(*conditions, **named))


def filled(*names: str) -> Q:
    """All of these text columns hold something."""
    condition = Q()
    for name in names:
        condition &= Q(**{f"{name}__gt": ""})  # unlike "not empty", false for a missing row too
    return condition


def build_items() -> tuple[Item, ...]:
    """The items in the order of the page; `now` enters through the two clock-bound ones."""
    now = timezone.now()
    today = timezone.localdate(now)
    with_number = [key for key, item in professions().items() if item.nihii_required]
    caregiver = Exists(of_user(Practitioner).exclude(profession__in=[*NOT_CAREGIVERS, HOUSE]))
    physician = practitioner(profession=PHYSICIAN)
    trainee = practitioner(profession=PHYSICIAN, training_status=Practitioner.TrainingStatus.TRAINEE)
    house = practitioner(profession=HOUSE)
    general_practitioner = practitioner(profession=PHYSICIAN, nihii__regex=r"00[1-8]$")

    live_key = Exists(of_user(PersonalKey, state__in=PersonalKey.LIVE))
    key_active = of_user(PersonalKey, state=PersonalKey.State.ACTIVE)
    work = Address._default_manager.filter(
        filled("street", "number", "postcode", "city", "country"),
        practitioner__user=OuterRef("pk"),
        type=Address.Type.WORK,
    )
    has_mail = Exists(Telecom.objects.filter(address=OuterRef("pk"), type=Telecom.Type.EMAIL))
    has_phone = Exists(
        Telecom.objects.filter(address=OuterRef("pk"), type__in=[Telecom.Type.PHONE, Telecom.Type.MOBILE])
    )
    active_keystore = of_user(Keystore, state=Keystore.State.ACTIVE, user__practitioner__ssin=F("ssin"))
    good_keystore = Exists(active_keystore.filter(not_after__gt=now, tested_at__gt=now - CONNECTION_TEST_VALID))
    refused = Keystore._default_manager.filter(user=OuterRef("pk")).exclude(
        state__in=[Keystore.State.REPLACED, Keystore.State.DISCONNECTED]
    )
    own_finance = filled("bce", "iban", "bic", "convention")
    supervisor_ok = Q(
        supervisor__user__is_active=True,
        supervisor__profession=PHYSICIAN,
        supervisor__training_status=Practitioner.TrainingStatus.RECOGNISED,
    )
    supervisor_finance = supervisor_ok & filled(
        "supervisor__financial__bce",
        "supervisor__financial__iban",
        "supervisor__financial__bic",
        "supervisor__financial__convention",
    )
    registrations = of_user(EdmgRegistration)
    all_registered = Q()
    for code in Mutuality.values:
        all_registered &= Q(Exists(registrations.filter(mutuality=code, state__in=EdmgRegistration.DONE)))
    licence = of_user(Licence)
    warning_from = today + timedelta(days=Licence.PROVISIONAL_DAYS - LICENCE_WARNING_DAY)

    return (
        Item(
            "R01", "password", BLOCKING, _("Choisir votre mot de passe"), _("Se connecter en sécurité"),
            "accounts:account#password", done=Q(password_own_at__isnull=False), owner_only=True,
        ),
        Item(
            "R02", "email", BLOCKING, _("Vérifier votre adresse e-mail"), _("Récupérer votre mot de passe"),
            "accounts:account#email",
            done=Exists(of_user(EmailAddress, verified=True, email__iexact=OuterRef("email"))),
            waiting=Exists(of_user(EmailAddress, verified=False)),
        ),
        Item(
            "R03", "keys", BLOCKING, _("Générer votre paire de clés"), _("Ouvrir et partager des dossiers"),
            "accounts:key", done=live_key, owner_only=True,
        ),
        Item(
            "R04", "key_backup", BLOCKING, _("Vérifier la sauvegarde de votre clé"),
            _("Survivre à la perte de l'ordinateur"), "accounts:key_backup",
            done=Exists(key_active.filter(backup_at__isnull=False)), owner_only=True,
        ),
        Item(
            "R05", "role", BLOCKING, _("Recevoir au moins un rôle"), _("Travailler avec vos droits"),
            "accounts:account#roles", done=Exists(of_user(RoleGrant)),
        ),
        Item(
            "R06", "billing_address", BLOCKING, _("Choisir l'adresse de facturation"),
            _("Enregistrer le compte, recevoir la facture de licence"), "accounts:account#billing_address",
            done=Q(billing_address__isnull=False),
        ),
        Item(
            "R07", "identity", BLOCKING, _("Compléter les informations générales"),
            _("Attestations, lettres, prescriptions à votre nom"), "practitioners:general", applies=caregiver,
            done=Exists(
                of_user(Practitioner)
                .filter(filled("civility", "ssin", "user__last_name", "user__first_name", "user__language"))
                .filter(~Q(profession__in=with_number) | filled("nihii"))
                .filter(~Q(profession=PHYSICIAN) | filled("speciality"))
            ),
        ),
        Item(
            "R08", "workplace", BLOCKING, _("Indiquer votre lieu de travail"),
            _("Envoyer des SUMEHR, être reconnu par les hubs"), "practitioners:addresses", applies=caregiver,
            done=Exists(work),
        ),
        Item(
            "R09", "workplace_contact", BLOCKING, _("Y mettre un e-mail et un téléphone"),
            _("Accéder aux hubs (RSW, RSB), prescrire, envoyer des e-mails"), "practitioners:addresses",
            applies=caregiver, done=Exists(work.filter(has_mail, has_phone)),
        ),
        Item(
            "R10", "hub", BLOCKING, _("Choisir votre région HUBs"), _("Consulter et publier sur les hubs"),
            "accounts:account#hub_region", applies=caregiver, done=filled("hub_region"),
        ),
        Item(
            "R11", "ehealth", BLOCKING, _("Vous connecter à eHealth"),
            _("eHealthBox, eDMG, prescription électronique, hubs"), "ehealth:connection", applies=physician,
            done=good_keystore,
            problem=Q(Exists(active_keystore.filter(not_after__lte=now)))
            | Q(Exists(refused.filter(state=Keystore.State.REFUSED)))
            & ~Q(good_keystore)
            & ~Q(Exists(refused.filter(state=Keystore.State.TESTING))),
            waiting=Exists(refused.filter(state=Keystore.State.TESTING)), owner_only=True,
        ),
        Item(
            "R12", "finance", BLOCKING, _("Compléter les données financières"),
            _("Créer et faire payer vos attestations (eFact, eAttest)"), "billing:financial", applies=physician,
            done=Q(financial(own_finance)) & ~Q(trainee) | Q(trainee) & Q(financial(supervisor_finance & filled("convention"))),
        ),
        Item(
            "R13", "supervisor", BLOCKING, _("Choisir votre maître de stage"),
            _("Vos honoraires vont sur son compte"), "billing:financial#supervisor", applies=trainee,
            done=financial(supervisor_finance),
            problem=financial(Q(supervisor__isnull=False) & ~supervisor_ok),
            waiting=financial(supervisor_ok),
        ),
        Item(
            "R14", "house_identity", BLOCKING, _("Compléter l'identité de la maison médicale"),
            _("Facturer au forfait"), "practitioners:general", applies=house,
            done=Q(practitioner(filled("house_nihii", "house_contact_ssin"), house_contact__isnull=False))
            & Q(financial(filled("bce", "iban", "bic"))),
        ),
        Item(
            "R15", "review", BLOCKING, _("Vérifier ce que d'autres ont prérempli"),
            _("Des données exactes, confirmées par vous"), "me",
            applies=Exists(of_user(SectionReview, prefilled_at__isnull=False)),
            done=~Exists(of_user(SectionReview, prefilled_at__isnull=False, confirmed_at__isnull=True)), owner_only=True,
        ),
        Item(
            "R16", "edmg", RECOMMENDED, _("Vous inscrire à l'eDMG (7 mutualités)"),
            _("Ouvrir des DMG électroniques et être payé"), "ehealth:edmg", applies=general_practitioner,
            done=all_registered,
            problem=Exists(
                registrations.filter(
                    state__in=[EdmgRegistration.State.REJECTED, EdmgRegistration.State.NEEDS_ACTION]
                )
            ),
            waiting=Exists(registrations.filter(state__in=EdmgRegistration.OPEN)), owner_only=True,
        ),
        Item(
            "R17", "healthbox", RECOMMENDED, _("Décider de la récupération automatique"),
            _("Recevoir vos messages eHealthBox"), "ehealth:mailbox", applies=caregiver,
            done=Exists(of_user(Mailbox, auto__isnull=False)), owner_only=True,
        ),
        Item(
            "R18", "sumehr_auto", RECOMMENDED, _("Décider de l'envoi automatique des SUMEHR"),
            _("Publier un SUMEHR à la fermeture du dossier"), "accounts:account#sumehr_auto_send",
            applies=physician, done=Q(sumehr_auto_send=False) | Q(sumehr_auto_send=True) & ~Q(hub_region__in=["", "none"]),
        ),
        # The second factor is not offered yet, so nobody is asked for one.
        Item(
            "R19", "two_factor", RECOMMENDED, _("Activer un second facteur"), _("Protéger votre connexion"),
            "accounts:account", applies=NEVER, done=NEVER, owner_only=True,
        ),
        Item(
            "R20", "second_backup", RECOMMENDED, _("Faire une deuxième sauvegarde de votre clé"),
            _("Deux supports valent mieux qu'un"), "accounts:key_backup", applies=live_key,
            done=Exists(key_active.filter(second_backup_at__isnull=False)), owner_only=True,
        ),
        Item(
            "R21", "licence", RECOMMENDED, _("Activer votre licence pour un an"),
            _("Continuer après les 45 jours provisoires"), "person", applies=physician,
            done=Exists(licence.filter(state=Licence.State.ACTIVE, ends_on__gte=today)),
            problem=Exists(
                licence.filter(Q(ends_on__lt=today) | Q(state=Licence.State.PROVISIONAL, ends_on__lte=warning_from))
            ),
            waiting=Exists(licence.filter(state__in=[Licence.State.REQUESTED, Licence.State.INVOICED])),
        ),
    )


def with_items(users: QuerySet[User]) -> QuerySet[User]:
    """Annotate `item_<key>` with the state of every item, and `ready`."""
    items = build_items()
    missing = Q()
    for item in items:
        if item.level == BLOCKING:
            missing |= ~Q(**{f"{item.annotation}__in": [DONE, NOT_APPLICABLE]})
    return users.annotate(**{item.annotation: item.state() for item in items}).annotate(
        ready=Case(When(missing, then=Value(False)), default=Value(True), output_field=BooleanField())
    )


@dataclass(frozen=True)
class Line:
    """One item of one person, ready for a page."""

    item: Item
    state: str

    @property
    def word(self) -> str | Promise:
        return STATES[self.state]


@dataclass(frozen=True)
class Checklist:
    """What one person's page shows; not applicable items are left out."""

    lines: tuple[Line, ...]
    ready: bool

    def of(self, level: str) -> list[Line]:
        return [line for line in self.lines if line.item.level == level]

    @property
    def blocking(self) -> list[Line]:
        return self.of(BLOCKING)

    @property
    def recommended(self) -> list[Line]:
        return self.of(RECOMMENDED)

    @property
    def done_count(self) -> int:
        return sum(line.state == DONE for line in self.blocking)

    @property
    def total(self) -> int:
        return len(self.blocking)

    @property
    def percent(self) -> int:
        return 100 * self.done_count // self.total if self.total else 100

    @property
    def next_line(self) -> Line | None:
        """The first blocking item that somebody must act on."""
        return next((line for line in self.blocking if line.state in (TODO, PROBLEM)), None)


def checklist_of(annotated: Any) -> Checklist:
    """From a user that carries the annotations of `with_items`."""
    lines = ((item, getattr(annotated, item.annotation)) for item in build_items())
    return Checklist(tuple(Line(item, state) for item, state in lines if state != NOT_APPLICABLE), annotated.ready)


def checklist(user: User) -> Checklist:
    """One query for one person."""
    return checklist_of(with_items(User.objects.get_queryset().filter(pk=user.pk)).get())
