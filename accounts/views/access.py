"""What a manager does to somebody's access: invite again, revoke; close and open, once confirmed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts import throttle
from accounts.access import Capability, require, subject_or_404
from accounts.actions import invitations, passwords, people
from accounts.models import User
from accounts.signed_request import SignedRequest
from accounts.signin import second_proof_required

MAILS, MAILS_SECONDS = 3, 3600


def back(request: SignedRequest, subject: User) -> HttpResponse:
    """To the page that named itself, to the person's page, or to one's own account."""
    here = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(here, allowed_hosts=None):
        return redirect(here)
    if subject.pk == request.user.pk:
        return redirect("accounts:account", uuid=subject.uuid)
    return redirect("person", uuid=subject.uuid)


def may_mail(request: SignedRequest, subject: User, kind: str) -> bool:
    """At most three mails of a kind to one person in an hour (security SR-53)."""
    if throttle.allow(f"mail:{kind}", subject.pk, MAILS, MAILS_SECONDS, by=request.user):
        return True
    messages.warning(request, _("Trois messages sont déjà partis en une heure. Réessayez plus tard."))
    return False


@require_POST
def invite(request: SignedRequest, uuid: UUID) -> HttpResponse:
    """Send a new invitation; the older link is void."""
    require(request.user, Capability.CREATE_USER)
    subject = subject_or_404(request.user, uuid)
    if not may_mail(request, subject, "invitation"):
        return back(request, subject)
    try:
        invitations.send(user=subject, by=request.user, now=timezone.now())
    except invitations.AlreadyActivated:
        messages.warning(
            request, _("Cette personne s'est déjà connectée. Elle récupère son mot de passe par son e-mail.")
        )
    except invitations.InvitationSpent:
        messages.warning(request, _("Ce compte est désactivé. Réactivez-le d'abord."))
    else:
        messages.success(
            request, _("Une nouvelle invitation part vers %(email)s.") % {"email": subject.email}
        )
    return back(request, subject)


@require_POST
def revoke_invitation(request: SignedRequest, uuid: UUID) -> HttpResponse:
    """Void the link that was sent."""
    require(request.user, Capability.CREATE_USER)
    subject = subject_or_404(request.user, uuid)
    invitations.revoke(user=subject, by=request.user, now=timezone.now())
    messages.success(request, _("L'invitation ne fonctionne plus."))
    return back(request, subject)


@require_http_methods(["GET", "POST"])
@second_proof_required
def deactivate(request: SignedRequest, uuid: UUID) -> HttpResponse:
    """Close the account, once confirmed; everything is kept."""
    done = _("Le compte de %(name)s est désactivé. Ses données sont conservées.")
    return _switch(request, uuid, people.deactivate, title=_("Désactiver le compte"), done=done)


@require_http_methods(["GET", "POST"])
@second_proof_required
def reactivate(request: SignedRequest, uuid: UUID) -> HttpResponse:
    """Open the account again, once confirmed."""
    done = _("Le compte de %(name)s est de nouveau actif.")
    return _switch(request, uuid, people.reactivate, title=_("Réactiver le compte"), done=done)


def _switch(
    request: SignedRequest, uuid: UUID, action: Callable[..., Any], *, title: str, done: str
) -> HttpResponse:
    require(request.user, Capability.DEACTIVATE_USER)
    subject = subject_or_404(request.user, uuid)
    if request.method == "GET":
        if subject.is_active != (action is people.deactivate):
            return back(request, subject)
        return render(request, "accounts/switch.html", {"subject": subject, "title": title})
    try:
        action(user=subject, by=request.user, now=timezone.now())
    except people.Refused as refused:
        messages.warning(request, str(refused))
    else:
        messages.success(request, done % {"name": subject.get_full_name()})
    return back(request, subject)


@require_POST
def verify_email(request: SignedRequest, uuid: UUID) -> HttpResponse:
    """Send the link that confirms the address again: the one that waits, else the one in force."""
    subject = subject_or_404(request.user, uuid)
    address = passwords.pending_email(subject) or subject.email
    if may_mail(request, subject, "email_verification"):
        passwords.send_verification(user=subject, email=address)
        messages.success(request, _("Un lien de confirmation part vers %(email)s.") % {"email": address})
    return back(request, subject)
