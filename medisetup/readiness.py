"""« Vous êtes maintenant prêt »: items R01–R21, each written once as database expressions.

The same expressions serve the person's checklist, the manager's list and the totals. An item's state
is one of: done, todo, waiting (on somebody or something else), problem, not_applicable. `ready` is:
every applicable blocking item done. Nothing here calls the platform or reads a row one by one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, TypedDict

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.db import connection
from django.db.models import (
    BooleanField,
    Case,
    Count,
    DateField,
    Exists,
    ExpressionWrapper,
    F,
    Func,
    OuterRef,
    Q,
    QuerySet,
    Value,
    When,
)
from django.db.models.functions import Now, TruncDate
from django.utils.translation import gettext_lazy as _

from accounts.models import Licence, PersonalKey, Practice, RoleGrant, SectionReview, User
from billing.models import FinancialSettings, able_to_supervise
from ehealth.models import EdmgRegistration, Keystore, Mailbox, Mutuality
from medisetup.item import BLOCKING, COLLEAGUE, DONE, NOT_APPLICABLE, OWNER, RECOMMENDED, Item
from practitioners.models import Address, Practitioner, Telecom
from practitioners.reference import HOUSE, NOT_CAREGIVERS, PHYSICIAN, professions

if TYPE_CHECKING:
    from django_stubs_ext import WithAnnotations

CONNECTION_TEST_VALID = timedelta(days=30)


def of_user(model: Any, path: str = "user", **conditions: Any) -> QuerySet[Any]:
    """Rows of the person that the outer query is about."""
    rows: QuerySet[Any] = model._default_manager.filter(**{path: OuterRef("pk")}, **conditions)
    return rows


def practitioner(**named: Any) -> Q:
    """Conditions on the one practitioner of the account: a join, which costs less than a subquery each."""
    return Q(**{f"practitioner__{name}": value for name, value in named.items()})


def filled(prefix: str, *names: str) -> Q:
    """All of these text columns hold something. `prefix` leads to them: "practitioner__", or ""."""
    condition = Q()
    for name in names:
        condition &= Q(**{f"{prefix}{name}__gt": ""})  # unlike "not empty", false for a missing row too
    return condition


TRAINEE = Practitioner.TrainingStatus.TRAINEE
CAREGIVER = practitioner(isnull=False) & ~practitioner(profession__in=[*NOT_CAREGIVERS, HOUSE])
IS_PHYSICIAN = practitioner(profession=PHYSICIAN)
IS_TRAINEE = practitioner(profession=PHYSICIAN, training_status=TRAINEE)
HOUSE_ACCOUNT = practitioner(profession=HOUSE)
FLAT_RATE = Q(practice__type=Practice.Type.FLAT_RATE_HOUSE)
IS_HOUSE = HOUSE_ACCOUNT & FLAT_RATE
# INAMI competence codes 001–008: the only ones that may register for the eDMG.
IS_GP = practitioner(profession=PHYSICIAN, nihii__regex=r"00[1-8]$")
ACTIVE_KEY = of_user(PersonalKey, state=PersonalKey.State.ACTIVE)
TODAY = TruncDate(Now())


def access_items() -> list[Item]:
    link = "accounts:account"
    address = of_user(EmailAddress)
    return [
        Item(
            "R01",
            "password",
            _("Choisir votre mot de passe"),
            _("Se connecter en sécurité"),
            f"{link}#password",
            neutral=_("Choisir le mot de passe"),
            done=Q(password_own_at__isnull=False),
            owner_only=True,
        ),
        Item(
            "R02",
            "email",
            _("Vérifier votre adresse e-mail"),
            _("Récupérer le mot de passe"),
            f"{link}#email",
            neutral=_("Vérifier l'adresse e-mail"),
            done=Exists(address.filter(verified=True, email__iexact=OuterRef("email"))),
            waiting=Exists(address.filter(verified=False)),
            waits_for=OWNER,
        ),
        Item(
            "R03",
            "keys",
            _("Générer votre paire de clés"),
            _("Ouvrir et partager des dossiers"),
            "accounts:key",
            neutral=_("Générer la paire de clés"),
            done=Exists(of_user(PersonalKey, state__in=PersonalKey.LIVE)),
            owner_only=True,
        ),
        Item(
            "R04",
            "key_backup",
            _("Vérifier la sauvegarde de votre clé"),
            _("Survivre à la perte de l'ordinateur"),
            "accounts:key_backup",
            neutral=_("Vérifier la sauvegarde de la clé"),
            done=Exists(ACTIVE_KEY.filter(backup_at__isnull=False)),
            owner_only=True,
        ),
    ]


def practice_items() -> list[Item]:
    with_number = [key for key, item in professions().items() if item.nihii_required]
    work = Address._default_manager.filter(
        filled("", "street", "number", "postcode", "city", "country"),
        practitioner=OuterRef("practitioner__pk"),
        type="work",
    )
    telecom = Telecom.objects.filter(address=OuterRef("pk"))
    phones = [Telecom.Type.PHONE, Telecom.Type.MOBILE]
    return [
        Item(
            "R07",
            "identity",
            _("Compléter les informations générales"),
            _("Attestations, lettres, prescriptions au bon nom"),
            "practitioners:general",
            # The account of a house in a practice that is none any more: another profession is asked.
            applies=CAREGIVER | HOUSE_ACCOUNT & ~FLAT_RATE,
            done=~HOUSE_ACCOUNT
            & filled("practitioner__", "civility", "ssin")
            & filled("", "last_name", "first_name", "language")
            & (~practitioner(profession__in=with_number) | filled("practitioner__", "nihii"))
            & (~IS_PHYSICIAN | filled("practitioner__", "speciality")),
        ),
        Item(
            "R08",
            "workplace",
            _("Indiquer votre lieu de travail"),
            _("Envoyer des SUMEHR, être reconnu par les hubs"),
            "practitioners:addresses",
            neutral=_("Indiquer le lieu de travail"),
            applies=CAREGIVER,
            done=Exists(work),
        ),
        Item(
            "R09",
            "workplace_contact",
            _("Mettre un e-mail et un téléphone à votre lieu de travail"),
            _("Accéder aux hubs (RSW, RSB), prescrire, envoyer des e-mails"),
            "practitioners:addresses",
            neutral=_("Mettre un e-mail et un téléphone au lieu de travail"),
            applies=CAREGIVER,
            done=Exists(
                work.filter(
                    Exists(telecom.filter(type=Telecom.Type.EMAIL)), Exists(telecom.filter(type__in=phones))
                )
            ),
        ),
    ]


def user_items() -> list[Item]:
    link = "accounts:account"
    return [
        Item(
            "R05",
            "role",
            _("Recevoir au moins un rôle"),
            _("Travailler avec les bons droits"),
            f"{link}#roles",
            done=Exists(of_user(RoleGrant)),
        ),
        Item(
            "R06",
            "billing_address",
            _("Choisir l'adresse de facturation"),
            _("Enregistrer le compte, recevoir la facture de licence"),
            f"{link}#billing_address",
            done=Q(billing_address__isnull=False),
        ),
        Item(
            "R10",
            "hub",
            _("Choisir votre région HUBs"),
            _("Consulter et publier sur les hubs"),
            "accounts:account#hub_region",
            neutral=_("Choisir la région HUBs"),
            applies=CAREGIVER,
            done=filled("", "hub_region"),
        ),
    ]


def connection_item() -> Item:
    state = Keystore.State
    keystores = of_user(Keystore)
    active = keystores.filter(state=state.ACTIVE, ssin=OuterRef("practitioner__ssin"))
    good = Exists(active.filter(not_after__gt=Now(), tested_at__gt=Now() - CONNECTION_TEST_VALID))
    testing = Exists(keystores.filter(state=state.TESTING))
    refused = Exists(keystores.filter(state=state.REFUSED))
    expired = Exists(active.filter(not_after__lte=Now()))
    return Item(
        "R11",
        "ehealth",
        _("Vous connecter à eHealth"),
        _("eHealthBox, eDMG, prescription électronique, hubs"),
        "ehealth:connection",
        neutral=_("Se connecter à eHealth"),
        applies=IS_PHYSICIAN,
        done=good,
        waiting=testing,
        owner_only=True,
        problem=Q(expired) | Q(refused) & ~Q(good) & ~Q(testing),
    )


def finance_items() -> list[Item]:
    account, supervisor = "practitioner__financial__", "practitioner__financial__supervisor__"
    needed = FinancialSettings.NEEDED
    able = able_to_supervise(supervisor)
    complete = able & filled(f"{supervisor}financial__", *needed)
    partially = Q(**{f"{account}convention": FinancialSettings.Convention.PARTIALLY})
    convention = filled(account, "convention") & (~partially | filled(account, "convention_hours"))
    return [
        Item(
            "R12",
            "finance",
            _("Compléter les données financières"),
            _("Créer et faire payer les attestations (eFact, eAttest)"),
            "billing:financial",
            applies=IS_PHYSICIAN,
            done=convention & (~IS_TRAINEE & filled(account, *needed) | IS_TRAINEE & complete),
            waiting=convention & IS_TRAINEE & able,
            waits_for=COLLEAGUE,
        ),
        Item(
            "R13",
            "supervisor",
            _("Choisir votre maître de stage"),
            _("Les honoraires vont sur le compte du maître de stage"),
            "billing:financial#supervisor",
            neutral=_("Choisir le maître de stage"),
            applies=IS_TRAINEE,
            done=complete,
            problem=Q(**{f"{account}supervisor__isnull": False}) & ~able,
            waiting=able,
            waits_for=COLLEAGUE,
        ),
        Item(
            "R14",
            "house_identity",
            _("Compléter l'identité de la maison médicale"),
            _("Facturer au forfait"),
            "practitioners:general",
            applies=IS_HOUSE,
            done=practitioner(house_contact__is_active=True)
            & filled("practitioner__", "house_nihii", "house_contact_ssin")
            & filled(account, "bce", "iban", "bic"),
        ),
    ]


def review_item() -> Item:
    prefilled = of_user(SectionReview, prefilled_at__isnull=False)
    return Item(
        "R15",
        "review",
        _("Vérifier ce que d'autres ont prérempli"),
        _("Des données exactes et confirmées"),
        "me",
        applies=Exists(prefilled),
        done=~Exists(prefilled.filter(confirmed_at__isnull=True)),
        owner_only=True,
    )


def edmg_item() -> Item:
    state = EdmgRegistration.State
    rows = of_user(EdmgRegistration)
    # One row per mutuality is all there can be, so that counting them is enough.
    counted = (
        rows.filter(state__in=EdmgRegistration.DONE).order_by().values("user").annotate(count=Count("pk"))
    )
    everywhere = Exists(counted.filter(count=len(Mutuality.values)))
    return Item(
        "R16",
        "edmg",
        _("Vous inscrire à l'eDMG (7 mutualités)"),
        _("Ouvrir des DMG électroniques et être payé"),
        "ehealth:edmg",
        neutral=_("S'inscrire à l'eDMG (7 mutualités)"),
        level=RECOMMENDED,
        applies=IS_GP,
        done=everywhere,
        owner_only=True,
        problem=Exists(rows.filter(state__in=[state.REJECTED, state.NEEDS_ACTION])),
        waiting=Exists(rows.filter(state__in=EdmgRegistration.OPEN)),
    )


def recommended_items() -> list[Item]:
    items = [
        Item(
            "R17",
            "healthbox",
            _("Décider de la récupération automatique"),
            _("Recevoir les messages eHealthBox"),
            "ehealth:mailbox",
            applies=IS_PHYSICIAN,
            done=Exists(of_user(Mailbox, auto__isnull=False)),
            owner_only=True,
        ),
        Item(
            "R18",
            "sumehr_auto",
            _("Décider de l'envoi automatique des SUMEHR"),
            _("Publier un SUMEHR à la fermeture du dossier"),
            "accounts:account#sumehr_auto_send",
            applies=IS_PHYSICIAN,
            done=Q(sumehr_auto_send=False) | Q(sumehr_auto_send=True) & ~Q(hub_region__in=["", "none"]),
        ),
        Item(
            "R19",
            "two_factor",
            _("Activer un second facteur"),
            _("Protéger la connexion"),
            "accounts:factor",
            done=Exists(of_user(Authenticator, type=Authenticator.Type.TOTP)),
            owner_only=True,
        ),
        Item(
            "R20",
            "second_backup",
            _("Faire une deuxième sauvegarde de votre clé"),
            _("Deux supports valent mieux qu'un"),
            "accounts:key_backup",
            neutral=_("Faire une deuxième sauvegarde de la clé"),
            applies=Exists(ACTIVE_KEY),
            done=Exists(ACTIVE_KEY.filter(second_backup_at__isnull=False)),
            owner_only=True,
        ),
        licence_item(),
    ]
    return [replace(item, level=RECOMMENDED) for item in items]


def licence_item() -> Item:
    state = Licence.State
    rows = of_user(Licence)
    last_days = ExpressionWrapper(TODAY + Value(Licence.WARNING_DAYS), output_field=DateField())
    return Item(
        "R21",
        "licence",
        _("Activer votre licence pour un an"),
        _("Continuer après les 45 jours provisoires"),
        "billing:licence",
        neutral=_("Activer la licence pour un an"),
        applies=IS_PHYSICIAN,
        done=Exists(rows.filter(state=state.ACTIVE, ends_on__gte=TODAY)),
        problem=Exists(
            rows.filter(Q(ends_on__lt=TODAY) | Q(state=state.PROVISIONAL, ends_on__lte=last_days))
        ),
        waiting=Exists(rows.filter(state__in=[state.REQUESTED, state.INVOICED])),
    )


@cache
def items() -> tuple[Item, ...]:
    """All items in the order of the page. Built once: the database's own clock enters each query."""
    return (
        *access_items(),
        *practice_items(),
        *user_items(),
        connection_item(),
        *finance_items(),
        review_item(),
        edmg_item(),
        *recommended_items(),
    )


def with_states(users: QuerySet[User]) -> QuerySet[User]:
    """Annotate `item_<key>` with the state of every item."""
    return users.annotate(**{item.annotation: item.state() for item in items()})


_KEYS = object()


class IsOneOf(Func):
    """A column, and a list given as one parameter."""

    template = "%(expressions)s)"
    arg_joiner = " = ANY("
    output_field = BooleanField()


@cache
def _statement() -> tuple[str, tuple[Any, ...]]:
    """The query of `states_of`, with `_KEYS` in the place of the users' keys."""
    chosen = IsOneOf(F("pk"), Value(_KEYS))
    users = with_states(User.objects.get_queryset().filter(chosen)).order_by()
    return users.values_list("pk", *(item.annotation for item in items())).query.sql_with_params()


def states_of(keys: Iterable[int]) -> dict[int, dict[str, str]]:
    """For each of these users' primary keys the state of every item, by the item's key; one query.

    Django takes longer to build this query than the database to answer it: it is built once per process.
    """
    sql, values = _statement()
    with connection.cursor() as cursor:
        cursor.execute(sql, [list(keys) if value is _KEYS else value for value in values])
        names = [item.key for item in items()]
        return {key: dict(zip(names, states, strict=True)) for key, *states in cursor.fetchall()}


class Ready(TypedDict):
    """What `with_items` adds besides the states."""

    ready: bool


def with_items(users: QuerySet[User]) -> QuerySet[WithAnnotations[User, Ready]]:
    """`with_states`, and `ready` for queries that ask for it; a page has it cheaper from the states."""
    missing = Q()
    for item in items():
        if item.level == BLOCKING:
            missing |= ~Q(**{f"{item.annotation}__in": [DONE, NOT_APPLICABLE]})
    return with_states(users).annotate(
        ready=Case(When(missing, then=Value(False)), default=Value(True), output_field=BooleanField())
    )
