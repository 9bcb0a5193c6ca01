"""Ready-made values for the pages: states in words, dates, next steps. No decision is taken here."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.identifiers import format_ssin, mask_ssin
from accounts.models import User
from billing.bank import format_iban
from ehealth import words
from ehealth.actions import connection, edmg, endpoints, sessions
from ehealth.client.platform import SERVICES
from ehealth.models import (
    EdmgRegistration,
    EdmgRequest,
    Endpoint,
    Exchange,
    Keystore,
    Mailbox,
    Mutuality,
    PlatformCheck,
)
from practitioners.models import Practitioner
from practitioners.reference import PHYSICIAN

State = EdmgRegistration.State
# A poll that runs longer has died.
READING_AT_MOST = timedelta(minutes=1)
KINDS = {
    State.QUEUED: "progress",
    State.SENDING: "progress",
    State.REGISTERED: "done",
    State.ALREADY_REGISTERED: "done",
    State.REJECTED: "problem",
    State.RETRYING: "waiting",
    State.WAITING: "todo",
    State.NEEDS_ACTION: "problem",
}


def moment(value: datetime | None) -> str:
    """Day and time in the reader's language, or ''."""
    return date_format(localtime(value), "SHORT_DATETIME_FORMAT") if value else ""


def connection_state(subject: User, *, owner: bool, now: datetime) -> dict[str, Any]:
    """All that the state of the connection shows; `testing` tells whether it moves by itself."""
    keystores = Keystore.objects.filter(user=subject).select_related("session")
    active = keystores.filter(state=Keystore.State.ACTIVE).first()
    newest = keystores.exclude(state=Keystore.State.REPLACED).order_by("-created_at").first()
    testing = newest if newest and newest.state == Keystore.State.TESTING else None
    refused = newest if newest and newest.state == Keystore.State.REFUSED else None
    banner = _refused(refused, kept=bool(active)) if refused else _standing(active, owner, now)
    return {
        "testing": bool(testing),
        "waits": bool(testing and testing.result_code),
        "banner": _testing(testing) if testing else banner,
        "steps": _steps(testing) if testing else [],
        "facts": facts(active, owner=owner, now=now) if active else [],
        "certificate": certificate(active, now) if active else None,
        "warning": words.WARNINGS.get(active.result_code) if active else None,
        "connected": bool(active),
        "must_reconnect": bool(
            active and not testing and not can_work(active, now) and active.not_after > now
        ),
        "may_disconnect": bool(active or testing),
    }


def can_work(keystore: Keystore, now: datetime) -> bool:
    """Whether the portal can talk to the platform for this person now."""
    return bool(keystore.key) or sessions.has_live_session(keystore, now)


def _testing(keystore: Keystore) -> dict[str, str]:
    if not keystore.result_code:
        text = _("Le trousseau est ouvert. La plate-forme eHealth vérifie maintenant qui vous êtes.")
        return {"kind": "info", "title": _("Test en cours"), "text": text}
    text = _("%(reason)s Prochain essai : %(moment)s. Vous pouvez quitter cette page.") % {
        "reason": words.platform(keystore.result_code).reason,
        "moment": moment(keystore.next_attempt_at),
    }
    return {"kind": "warning", "title": _("Test en cours"), "text": text}


def _refused(keystore: Keystore, *, kept: bool) -> dict[str, str]:
    title = _("Connexion refusée, la précédente reste en place") if kept else _("Connexion refusée")
    text = _("%(words)s (code %(code)s)") % {
        "words": words.platform(keystore.result_code),
        "code": keystore.result_code,
    }
    return {"kind": "error", "title": title, "text": text}


def _standing(active: Keystore | None, owner: bool, now: datetime) -> dict[str, str]:
    if active is None:
        text = (
            _("Choisissez le fichier de votre trousseau eHealth et donnez son mot de passe.")
            if owner
            else _("La personne n'a pas encore choisi son trousseau eHealth.")
        )
        return {"kind": "info", "title": _("Pas encore connecté à eHealth"), "text": text}
    if active.not_after <= now:
        text = _("Il ne peut plus être renouvelé : %(step)s") % {"step": words.ASK_CERTIFICATE}
        return {"kind": "error", "title": _("Le certificat eHealth est expiré"), "text": text}
    if active.key:
        text = _("La connexion est maintenue tant que la récupération automatique reste cochée.")
        return {"kind": "success", "title": _("Connecté à eHealth"), "text": text}
    if sessions.has_live_session(active, now):
        until = {"moment": moment(active.session.not_on_or_after)}
        return {
            "kind": "success",
            "title": _("Connecté à eHealth"),
            "text": _("Jusqu'au %(moment)s.") % until,
        }
    if not owner:
        text = _("Sa session eHealth est terminée ; ce qui attend partira dès qu'elle se reconnecte.")
        return {"kind": "warning", "title": _("La personne doit se reconnecter à eHealth"), "text": text}
    text = _("Votre session eHealth est terminée ; ce qui attend partira dès que vous vous reconnectez.")
    return {"kind": "warning", "title": _("Reconnectez-vous avec votre mot de passe"), "text": text}


def _steps(keystore: Keystore) -> list[dict[str, str]]:
    state, word = ("problem", _("en attente")) if keystore.result_code else ("current", _("en cours"))
    return [
        {"label": _("Trousseau ouvert et vérifié"), "state": "done", "word": _("fait"), "note": ""},
        {"label": _("Identité confirmée par eHealth"), "state": state, "word": word, "note": ""},
        {"label": _("eHealthBox accessible"), "state": "next", "word": _("à venir"), "note": ""},
    ]


def facts(keystore: Keystore, *, owner: bool, now: datetime) -> list[dict[str, str]]:
    """Rows of components/summary_list.html; the number of somebody else is masked."""
    number = format_ssin(keystore.ssin) if owner else mask_ssin(keystore.ssin)
    rows = [
        (_("Titulaire du certificat"), keystore.holder_name),
        (_("Numéro national"), number),
        (_("Délivré par"), keystore.issuer_name),
        (_("Valable jusqu'au"), date_format(localtime(keystore.not_after), "DATE_FORMAT")),
        (_("Dernier test réussi"), moment(keystore.tested_at)),
    ]
    return [{"key": key, "value": value} for key, value in rows]


def certificate(keystore: Keystore, now: datetime) -> dict[str, str]:
    """How long the certificate lasts, in a tag and a sentence."""
    state = connection.certificate_state(keystore.not_after, now)
    days = max((keystore.not_after - now).days, 0)
    left = ngettext("Encore %(days)s jour.", "Encore %(days)s jours.", days) % {"days": days}
    renew = _(
        "Renouvelez-le avec l'ancien trousseau dans le gestionnaire de certificats eHealth avant cette date."
    )
    shown = {
        "valid": ("done", _("Certificat valable"), left),
        "renewable": ("check", _("À renouveler"), renew),
        "urgent": ("problem", _("À renouveler d'urgence"), renew),
        "expired": ("problem", _("Expiré"), str(words.ASK_CERTIFICATE)),
    }[state]
    return {"kind": shown[0], "tag": shown[1], "text": shown[2], "left": left if state != "expired" else ""}


def edmg_state(subject: User) -> dict[str, Any]:
    """Seven lines with state, last answer and next step; `moving` tells whether something is under way."""
    rows = {row.mutuality: row for row in EdmgRegistration.objects.filter(user=subject)}
    done = sum(row.state in EdmgRegistration.DONE for row in rows.values())
    total = len(Mutuality.values)
    progress = ngettext(
        "%(done)s inscription faite sur %(total)s", "%(done)s inscriptions faites sur %(total)s", done
    )
    moving = any(row.state in (State.QUEUED, State.SENDING, State.RETRYING) for row in rows.values())
    return {
        "requested": bool(rows),
        "done": done,
        "total": total,
        "words": progress % {"done": done, "total": total},
        "note": _note(rows, done, total),
        "lines": [_line(code, rows.get(code)) for code in Mutuality.values] if rows else [],
        "moving": moving,
        "waiting": any(row.state == State.WAITING for row in rows.values()),
        "may_retry": any(edmg.may_retry(row) for row in rows.values()),
        "complete": done == total,
    }


def _note(rows: dict[str, EdmgRegistration], done: int, total: int) -> str:
    if done == total:
        return _("Terminé")
    if any(row.state in (State.REJECTED, State.NEEDS_ACTION) for row in rows.values()):
        return _("Une action est nécessaire")
    return _("En cours")


def _line(code: str, row: EdmgRegistration | None) -> dict[str, str]:
    if row is None:
        return {"label": str(Mutuality(code).label), "kind": "todo", "state": _("Pas encore demandée")}
    answer = words.registration(row.result_code, row.result_place) if row.result_code else None
    return {
        "label": str(Mutuality(code).label),
        "kind": KINDS[State(row.state)],
        "state": str(State(row.state).label),
        "reason": str(answer.reason) if answer else "",
        "step": str(answer.step) if answer else "",
        "said": row.result_message,
        "code": row.result_code,
        "next": moment(row.next_attempt_at) if row.state == State.RETRYING else "",
        "since": date_format(row.start_date, "DATE_FORMAT") if row.start_date else "",
        "unknown": _(
            "On ne sait pas encore si la mutualité a reçu la dernière demande ; la même lui est renvoyée."
        )
        if row.outcome_unknown and row.state in (State.RETRYING, State.QUEUED, State.SENDING, State.WAITING)
        else "",
        "iban": "•••" + row.iban[-3:],
    }


def consents(user: User) -> list[dict[str, str]]:
    """What the owner agreed to, newest first: the text word for word, and the circumstances."""
    return [
        {"title": _("Votre accord du %(when)s") % {"when": moment(row.accepted_at)}, "text": _agreed(row)}
        for row in EdmgRequest.objects.filter(user=user).order_by("-accepted_at")
    ]


def _agreed(row: EdmgRequest) -> str:
    language = dict(settings.LANGUAGES).get(row.conditions_language, row.conditions_language)
    about = _("Version %(version)s des conditions (%(language)s), acceptée le %(when)s.") % {
        "version": row.conditions_version, "language": language, "when": moment(row.accepted_at),
    }  # fmt: skip
    if row.proved_at:
        about += " " + _("Mot de passe donné le %(when)s.") % {"when": moment(row.proved_at)}
    accounts = [f"{Mutuality(code).label} : {format_iban(iban)}" for code, iban in row.accounts.items()]
    return "\n\n".join(filter(None, [row.conditions_text, about, "\n".join(accounts)]))


CHECK_KINDS = {
    PlatformCheck.State.QUEUED: "progress",
    PlatformCheck.State.RUNNING: "progress",
    PlatformCheck.State.PASSED: "done",
    PlatformCheck.State.WARNING: "check",
    PlatformCheck.State.FAILED: "problem",
}


def checks_state(subject: User) -> dict[str, Any]:
    """One line per capability with its last outcome; `moving` tells whether one is under way."""
    rows = {row.capability: row for row in PlatformCheck.objects.filter(user=subject)}
    return {
        "lines": [_check_line(name, rows.get(name)) for name in PlatformCheck.Capability.values],
        "moving": any(row.state in PlatformCheck.UNDER_WAY for row in rows.values()),
    }


def _check_line(capability: str, row: PlatformCheck | None) -> dict[str, str]:
    line = {"capability": capability, "label": str(PlatformCheck.Capability(capability).label)}
    if row is None:
        return line | {"kind": "todo", "state": _("Pas encore testé")}
    line |= {"kind": CHECK_KINDS[PlatformCheck.State(row.state)], "state": str(row.get_state_display())}
    if row.finished_at is None or row.state in PlatformCheck.UNDER_WAY:
        return line
    said = words.check(capability, row.code)
    return line | {
        "reason": str(said.reason),
        "step": str(said.step),
        "code": row.code,
        "when": moment(row.finished_at),
    }


def platform_down(*services: str) -> str:
    """« Injoignable depuis … », or '' while each of these services (of all, if none is named) answers."""
    since = endpoints.down_since(*(services or SERVICES))
    text = _(
        "La plate-forme eHealth est injoignable depuis le %(moment)s. "
        "Ce qui attend partira dès qu'elle répond."
    )
    return text % {"moment": moment(since)} if since else ""


def open_endpoints() -> list[str]:
    """« service · host, since … » for each address that is left alone now."""
    return [
        f"{words.service(row.service)} · {row.host} · {moment(row.opened_at)}"
        for row in Endpoint.objects.all().open().order_by("service", "host")
    ]


def exchange_line(row: Exchange) -> dict[str, Any]:
    """One call in words; digests shortened, no content was ever kept."""
    kind, outcome = words.exchange(row.service, row.code)
    return {
        "when": date_format(localtime(row.started_at), "SHORT_DATETIME_FORMAT"),
        "exact": row.started_at.isoformat(timespec="milliseconds"),
        "service": words.service(row.service),
        "operation": words.operation(row.operation),
        "kind": kind,
        "outcome": outcome,
        "code": "" if row.code == "OK" else row.code,
        "duration": f"{row.milliseconds} ms",
        "place": f"{row.host} · HTTP {row.http_status}" if row.http_status else row.host,
        "reference": row.reference,
        "request": row.request_sha256[:16],
        "response": row.response_sha256[:16],
    }


def mailbox_state(user: User, now: datetime) -> dict[str, Any]:
    """Whether messages are fetched, when last and next, and what stands in the way."""
    box = Mailbox.objects.filter(user=user).first() or Mailbox(user=user)
    reading = box.reading_since is not None and now - box.reading_since < READING_AT_MOST
    fetched = box.messages.filter(received_at__gte=box.reading_since).count() if reading else 0
    progress = ngettext(
        "Relevé en cours : %(count)s message reçu jusqu'ici.",
        "Relevé en cours : %(count)s messages reçus jusqu'ici.",
        fetched,
    )
    keystore = Keystore.objects.in_force().filter(user=user).select_related("session").first()
    connected = keystore is not None and can_work(keystore, now) and keystore.not_after > now
    standby = ngettext(
        "%(count)s message attend dehors, parce que votre eHealthBox est pleine. "
        "Supprimez-y des messages pour le recevoir.",
        "%(count)s messages attendent dehors, parce que votre eHealthBox est pleine. "
        "Supprimez-y des messages pour les recevoir.",
        box.standby,
    )
    return {
        "auto": bool(box.auto),
        "decided": box.auto is not None,
        "connected": connected,
        "may_connect": Practitioner.objects.filter(user=user, profession=PHYSICIAN).exists(),
        "checked": moment(box.polled_at),
        "next": moment(box.next_poll_at) if box.auto and connected else "",
        "problem": words.platform(box.result_code) if box.result_code and box.auto else None,
        "down": platform_down("mailbox"),
        "reading": progress % {"count": fetched} if reading else "",
        "standby": standby % {"count": box.standby} if box.standby else "",
    }
