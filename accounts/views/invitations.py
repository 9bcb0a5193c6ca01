"""The page behind the link of an invitation. Opening it changes nothing; mail scanners may."""

from __future__ import annotations

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts.actions import invitations
from accounts.forms.passwords import NewPasswordForm
from accounts.models import Invitation, User
from accounts.passwords import REQUIREMENTS


@login_not_required
@require_http_methods(["GET", "POST"])
@sensitive_post_parameters("password1", "password2")
def accept(request: HttpRequest, token: str) -> HttpResponse:
    """Choose a password, be signed in; a spent link says what to do."""
    invitation = invitations.find(token)
    if invitation is None or not invitations.is_open(invitation, user=invitation.user, now=timezone.now()):
        return spent(request, invitation)
    form = NewPasswordForm(request.POST or None, user=invitation.user)
    if request.method == "POST" and form.is_valid():
        try:
            user = invitations.activate(
                invitation=invitation, password=form.cleaned_data["password1"], now=timezone.now()
            )
        except invitations.InvitationSpent:
            return spent(request, invitation)
        except ValidationError as errors:
            form.add_error("password1", errors)
        else:
            return enter(request, user)
    context = {"form": form, "person": invitation.user, "requirements": REQUIREMENTS}
    return render(request, "accounts/invitation.html", context, status=422 if form.errors else 200)


def enter(request: HttpRequest, user: User) -> HttpResponse:
    """Begin the first session, under a new session id."""
    get_adapter(request).login(request, user)
    return redirect("home")


def spent(request: HttpRequest, invitation: Invitation | None) -> HttpResponse:
    """410: used, revoked, expired or unknown; the four look alike but for the one who has been in."""
    context = {"used": bool(invitation and invitation.used_at), "support_email": settings.SUPPORT_EMAIL}
    return render(request, "accounts/invitation_spent.html", context, status=410)
