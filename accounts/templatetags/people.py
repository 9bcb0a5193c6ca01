"""`{% person_access subject %}`: state of somebody's access, with the buttons the reader may use.
`{% password_requirements %}`: what a password must have.
"""

from __future__ import annotations

from typing import Any

from django import template
from django.template.context import RequestContext
from django.utils import timezone

from accounts.access import Capability, capabilities
from accounts.models import Invitation, User
from accounts.passwords import REQUIREMENTS

register = template.Library()


@register.inclusion_tag("accounts/_person_access.html", takes_context=True)
def person_access(context: RequestContext, subject: User) -> dict[str, Any]:
    """Rows: active or not, invitation, last change; the buttons depend on the reader's rights."""
    actor = context["request"].user
    return access_facts(subject, actor) | {"csrf_token": context.get("csrf_token")}


@register.simple_tag
def password_requirements() -> list[str]:
    """One line each."""
    return [str(requirement) for requirement in REQUIREMENTS]


def access_facts(subject: User, actor: User) -> dict[str, Any]:
    """What `accounts/_person_access.html` shows."""
    can = capabilities(actor)
    waiting = subject.activated_at is None
    last = Invitation.objects.filter(user=subject).order_by("-created_at").first() if waiting else None
    is_open = last is not None and last.revoked_at is None and last.expires_at > timezone.now()
    may_invite = Capability.CREATE_USER in can and waiting and subject.is_active
    return {
        "subject": subject,
        "waiting": waiting,
        "invitation": last,
        "invitation_open": is_open,
        "may_invite": may_invite,
        "may_revoke": may_invite and is_open,
        "may_switch": Capability.DEACTIVATE_USER in can and subject.pk != actor.pk,
    }
