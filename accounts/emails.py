"""Mails: one mechanism. `queue` stores a sealed row; row and sweep are the truth, the task a doorbell.

Content waits sealed and is erased once sent. A mail carries no secret other than a single-use link.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.db.models import F
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from kombu.exceptions import OperationalError

from accounts.models import Mail, User
from accounts.sealing import CannotOpen, sealer

logger = logging.getLogger(__name__)

# Kinds with templates of their own.
LETTERS = frozenset(
    {
        "invitation",
        "password_reset",
        "password_changed",
        "email_verification",
        "email_changed",
        "login_changed",
        "section_reopened",
        "reminder",
        "certificate_ends",
        "licence_reminder",
        "licence_expired",
        "licence_due",
        "licence_activated",
        "training_ended",
        "new_device",
    }
)
# Kinds that say one sentence, in the template `notice`: subject, sentence. A subject can be read on a locked
# screen: it says what happened, and names nobody.
NOTICES: dict[str, tuple[Promise, Promise]] = {
    "email_change_asked": (
        _("Une nouvelle adresse e-mail est demandée pour votre compte"),
        _("Quelqu'un a demandé de remplacer l'adresse e-mail de votre compte."),
    ),
    "roles_changed": (
        _("Vos rôles ont changé"),
        _("Les rôles de votre compte ont été modifiés."),
    ),
    "account_deactivated": (
        _("Votre compte est désactivé"),
        _("Votre compte a été désactivé. Vos données sont conservées."),
    ),
    "account_reactivated": (
        _("Votre compte est de nouveau actif"),
        _("Votre compte a été réactivé."),
    ),
    "factor_activated": (
        _("Votre second facteur est activé"),
        _("Un second facteur protège maintenant la connexion à votre compte."),
    ),
    "factor_removed": (
        _("Votre second facteur est retiré"),
        _("Le second facteur de votre compte a été retiré : le mot de passe seul l'ouvre."),
    ),
    "factor_code_used": (
        _("Un code de secours a ouvert votre compte"),
        _("Un code de secours a servi à vous connecter. Il ne fonctionnera plus."),
    ),
    "key_registered": (
        _("Votre paire de clés est enregistrée"),
        _("Une paire de clés a été enregistrée pour votre compte."),
    ),
    "key_imported": (
        _("Votre clé est sur un nouvel ordinateur"),
        _("Votre clé personnelle a été importée sur un nouvel ordinateur."),
    ),
    "key_code_released": (
        _("Le code d'un fichier de clé a été affiché"),
        _("Le code de votre fichier de clé a été affiché."),
    ),
    "key_prepared": (
        _("Une paire de clés est préparée pour vous"),
        _("Une paire de clés a été préparée pour vous par une autre personne."),
    ),
    "key_rotated": (
        _("Votre paire de clés est remplacée"),
        _("Votre paire de clés a été remplacée par une nouvelle."),
    ),
    "key_lost": (
        _("Une clé est perdue dans votre cabinet"),
        _(
            "Une personne de votre cabinet a perdu sa clé personnelle et demande une "
            "réinitialisation. Vérifiez avec elle, de vive voix, que la demande vient d'elle."
        ),
    ),
    "key_reset_asked": (
        _("La réinitialisation de votre clé est demandée"),
        _(
            "Un administrateur a demandé de réinitialiser votre clé personnelle. Si vous avez "
            "encore votre clé, connectez-vous pour arrêter cette demande."
        ),
    ),
    "key_reset_cancelled": (
        _("La réinitialisation de votre clé est annulée"),
        _("La demande de réinitialisation de votre clé personnelle a été annulée."),
    ),
    "key_reset_done": (
        _("Votre clé est réinitialisée"),
        _("Votre clé personnelle a été réinitialisée par un administrateur."),
    ),
    "key_revoked": (
        _("Votre clé est révoquée"),
        _("Votre clé personnelle a été révoquée."),
    ),
    "keystore_stored": (
        _("Un trousseau eHealth est dans votre compte"),
        _("Un trousseau eHealth a été enregistré dans votre compte."),
    ),
    "keystore_disconnected": (
        _("Votre trousseau eHealth est retiré"),
        _("Votre trousseau eHealth a été retiré de votre compte."),
    ),
    "assistants_account_changed": (
        _("Le compte bancaire partagé des assistants a changé"),
        _("Le compte bancaire partagé des assistants du cabinet a été modifié."),
    ),
    "supervisor_lost": (
        _("Choisissez un autre maître de stage"),
        _(
            "Votre maître de stage ne peut plus l'être. Choisissez-en un autre dans vos données "
            "financières : d'ici là, elles sont incomplètes."
        ),
    ),
    "trainees_lost": (
        _("Vous n'êtes plus maître de stage"),
        _(
            "Vous ne pouvez plus être maître de stage dans ce cabinet. Les assistants qui vous "
            "avaient choisi sont avertis et en choisissent un autre."
        ),
    ),
    "edmg_account_changed": (
        _("Le compte bancaire de vos DMG va changer"),
        _(
            "Un changement du compte bancaire de vos DMG a été préparé. Les lettres aux "
            "mutualités ne partent que si vous les envoyez vous-même."
        ),
    ),
    "data_taken_over": (
        _("Vos données ont été reprises dans un autre compte"),
        _(
            "Les données de votre compte ont été reprises dans votre compte d'un autre cabinet, "
            "avec votre mot de passe. Si ce n'était pas vous, changez ce mot de passe et "
            "prévenez le support."
        ),
    ),
    "iban_changed": (
        _("Un compte bancaire de votre facturation a changé"),
        _("Un compte bancaire de vos préférences de facturation a été modifié."),
    ),
    "nihii_replaced": (
        _("Votre numéro INAMI a été remplacé"),
        _(
            "Le numéro INAMI de votre dossier a été remplacé : les 8 premiers chiffres, qui "
            "désignent une personne, ne sont plus les mêmes."
        ),
    ),
}
# What a mail calls a section: the title of its page.
SECTIONS: dict[str, Promise] = {
    "account": _("Utilisateur"),
    "practitioner/general": _("Informations générales"),
    "practitioner/addresses": _("Adresses"),
    "billing/financial": _("Données financières"),
    "ehealth/connection": _("Connexion eHealth"),
    "ehealth/edmg": _("eDMG"),
}
# A failed mail is tried again after these waits, then given up.
WAITS = [timedelta(minutes=m) for m in (1, 5, 15, 60)] + [timedelta(hours=6)] * 27


class UnknownMail(ValueError):
    """No template and no sentence is known for that kind."""


@dataclass(frozen=True)
class Content:
    """What the receiver reads."""

    subject: str
    text: str
    html: str


def link(path: str) -> str:
    """An address of the portal for a mail; the host comes from the settings, never from a request."""
    return settings.PORTAL_ORIGIN.rstrip("/") + path


def queue(
    kind: str,
    *,
    user: User,
    to: str | None = None,
    context: dict[str, Any] | None = None,
    ring_now: bool = True,
) -> Mail:
    """Store a mail to `user` (at `to`, or the account's address) in the user's language; ring on commit.

    Raises `UnknownMail`. Values of `context` may be lazy texts. Without `ring_now` it waits for the sweep.
    """
    content = render(kind, user=user, context=context or {})
    mail = Mail(user=user, kind=kind, to=to or user.email, next_attempt_at=timezone.now())
    mail.content = sealer().seal(json.dumps(asdict(content)).encode(), **place(mail))
    mail.save()
    if ring_now:
        transaction.on_commit(lambda: ring(mail.pk))
    return mail


def render(kind: str, *, user: User, context: dict[str, Any]) -> Content:
    """The three parts of a mail in the person's language."""
    if kind not in LETTERS and kind not in NOTICES:
        raise UnknownMail(kind)
    template = f"accounts/emails/{kind if kind in LETTERS else 'notice'}"
    subject, sentence = NOTICES.get(kind, ("", ""))
    known = {
        "user": user,
        "subject": subject,
        "sentence": sentence,
        "reason": "",
        "part": SECTIONS.get(context.get("section", ""), ""),
        "portal": settings.PORTAL_ORIGIN,
        "support_email": settings.SUPPORT_EMAIL,
        "by": None,
        "when": None,
    }
    with translation.override(user.language):
        subject, text, html = (
            render_to_string(f"{template}.{part}", known | context) for part in ("subject.txt", "txt", "html")
        )
    return Content(" ".join(subject.split()), text.strip() + "\n", html)


def ring(pk: int) -> None:
    """Tell the workers; with the broker down the sweep sends the mail."""
    from accounts.tasks import send_mail

    try:
        send_mail.delay(pk=pk)
    except OperationalError:
        logger.warning("broker unreachable, mail %s waits for the sweep", pk)


def ring_sweep() -> None:
    """Have all due mails sent now; says nothing about whether there is one."""
    from accounts.tasks import send_due_mails

    try:
        send_due_mails.delay()
    except OperationalError:
        logger.warning("broker unreachable, mails wait for the sweep")


def deliver(*, pk: int, now: datetime) -> bool:
    """Send one due mail; True when it left. A second worker, or a second message, finds nothing to claim."""
    claimed = (
        Mail.objects.filter(pk=pk).due(now).update(attempts=F("attempts") + 1, next_attempt_at=now + WAITS[0])
    )
    if not claimed:
        return False
    mail = Mail.objects.get(pk=pk)
    try:
        _send(mail)
    except CannotOpen:
        logger.error("mail %s cannot be opened and is given up", mail.pk)
        Mail.objects.filter(pk=pk).update(next_attempt_at=None)
        return False
    except OSError as error:  # smtplib's errors are OSErrors too
        _put_off(mail, now, error)
        return False
    Mail.objects.filter(pk=pk).update(sent_at=now, content=None, next_attempt_at=None)
    return True


def _send(mail: Mail) -> None:
    content = open_content(mail)
    message = EmailMultiAlternatives(content.subject, content.text, to=[mail.to])
    message.attach_alternative(content.html, "text/html")
    message.send()


def _put_off(mail: Mail, now: datetime, error: Exception) -> None:
    logger.warning("mail %s not sent: %s", mail.pk, type(error).__name__)
    if mail.attempts > len(WAITS):
        Mail.objects.filter(pk=mail.pk).update(next_attempt_at=None, content=None)
    else:
        Mail.objects.filter(pk=mail.pk).update(next_attempt_at=now + WAITS[mail.attempts - 1])


def open_content(mail: Mail) -> Content:
    """The sealed content of a mail that still waits."""
    return Content(**json.loads(sealer().open(bytes(mail.content or b""), **place(mail))))


def place(mail: Mail) -> dict[str, Any]:
    owner = mail.user.uuid if mail.user else mail.uuid
    return {"table": "mail", "column": "content", "row": mail.uuid, "owner": owner, "version": 1}
