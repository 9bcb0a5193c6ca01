"""`{% person_access subject %}`: state of somebody's access, with the buttons the reader may use.
`{% password_requirements %}`: what a password must have. `{{ user|invitation_state }}`: how far the last
invitation has come. `{{ browser|device }}`, `{{ network|place }}`: where somebody signed in.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import template
from django.template.context import RequestContext
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from accounts import devices
from accounts.access import Capability, capabilities
from accounts.models import Invitation, User
from accounts.passwords import REQUIREMENTS

register = template.Library()
INVITATIONS_SHOWN = 5


@register.inclusion_tag("accounts/_person_access.html", takes_context=True)
def person_access(context: RequestContext, subject: User) -> dict[str, Any]:
    """Rows: active or not, invitation, last change; the buttons depend on the reader's rights."""
    actor = context["request"].user
    return access_facts(subject, actor) | {"csrf_token": context.get("csrf_token")}


@register.simple_tag
def password_requirements() -> list[str]:
    """One line each."""
    return [str(requirement) for requirement in REQUIREMENTS]


@register.filter
def device(browser: str) -> str:
    """A browser as `devices.browser_of` names it, or that it is unknown."""
    return devices.device(browser)


@register.filter
def place(network: str) -> str:
    """A network as a person reads it."""
    return devices.place(network)


@register.filter
def invitation_state(user: User) -> str:
    """Of the last invitation, in one line; empty for whoever came another way. Reads `user.invitations` as
    prefetched.
    """
    sent = sorted(user.invitations.all(), key=lambda invitation: invitation.pk)
    if sent:
        return words_of(sent[-1])
    return "" if user.activated_at else _("Aucune invitation")


def words_of(invitation: Invitation) -> str:
    """Sent, and then what became of it: accepted, revoked, expired, or when it will expire."""
    ends = (
        (invitation.used_at, _("acceptée le %(day)s")),
        (invitation.revoked_at, _("révoquée le %(day)s")),
        (_past(invitation), _("expirée le %(day)s")),
        (invitation.expires_at, _("expire le %(day)s")),
    )
    moment, words = next((moment, words) for moment, words in ends if moment)
    sent = _("Invitation envoyée le %(day)s") % {"day": _day(invitation.created_at)}
    return f"{sent}, {words % {'day': _day(moment)}}"


def _past(invitation: Invitation) -> datetime | None:
    return invitation.expires_at if invitation.expires_at <= timezone.now() else None


def _day(moment: datetime) -> str:
    return date_format(timezone.localtime(moment), "SHORT_DATE_FORMAT")


def access_facts(subject: User, actor: User) -> dict[str, Any]:
    """What `accounts/_person_access.html` shows."""
    can = capabilities(actor)
    waiting = subject.activated_at is None
    sent = list(Invitation.objects.filter(user=subject).order_by("-pk")[:INVITATIONS_SHOWN])
    is_open = waiting and bool(sent) and sent[0].revoked_at is None and _past(sent[0]) is None
    may_invite = Capability.CREATE_USER in can and waiting and subject.is_active
    return {
        "subject": subject,
        "waiting": waiting,
        "invitations": [words_of(invitation) for invitation in sent],
        "invitation_open": is_open,
        "may_invite": may_invite,
        "may_revoke": may_invite and is_open,
        "may_sign_out": Capability.SIGN_OUT_COLLEAGUE in can and subject.is_active and not waiting,
        "may_switch": Capability.DEACTIVATE_USER in can and subject.pk != actor.pk,
    }
