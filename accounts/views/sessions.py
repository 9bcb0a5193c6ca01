"""« Mes sessions », and their end: one's own one by one, a colleague's all at once (security SR-13).

The password is asked again after ten minutes (SR-14).
"""

from __future__ import annotations

from uuid import UUID

from allauth.account.views import PasswordResetFromKeyView
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from accounts import devices
from accounts.access import Capability, require, subject_or_404
from accounts.actions import sessions
from accounts.forms.passwords import NewPasswordForm
from accounts.sessions import digest
from accounts.signed_request import SignedRequest
from accounts.signin import second_proof_from


@require_GET
def own_sessions(request: SignedRequest) -> HttpResponse:
    """Where the person is signed in, this browser first."""
    mine = digest(request.session.session_key)
    lines = [
        {
            "session": session,
            "device": devices.device(session.browser),
            "place": devices.place(session.network),
            "current": session.key == mine,
        }
        for session in sessions.open_sessions(user=request.user, now=timezone.now())
    ]
    lines.sort(key=lambda line: not line["current"])
    return render(request, "accounts/sessions.html", {"lines": lines, "most": sessions.AT_ONCE})


@require_POST
@second_proof_from("accounts:sessions")
def end(request: SignedRequest) -> HttpResponse:
    """End the session that is named, or, without a name, all but this one."""
    key, now = request.POST.get("session", ""), timezone.now()
    if key:
        count = sessions.end_one(user=request.user, key=key, now=now)
    else:
        mine = digest(request.session.session_key)
        count = sessions.end_others(user=request.user, but=mine, now=now)
    tell_ended(request, count)
    return redirect("accounts:sessions")


@require_POST
@second_proof_from("person")
def sign_out(request: SignedRequest, uuid: UUID) -> HttpResponse:
    """An administrator signs a colleague out everywhere; one's own sessions have their page."""
    subject = subject_or_404(request.user, uuid)
    require(request.user, Capability.SIGN_OUT_COLLEAGUE)
    if subject.pk == request.user.pk:
        return redirect("accounts:sessions")
    count = sessions.close_sessions(user=subject, by=request.user, now=timezone.now())
    tell_ended(request, count)
    return redirect("person", uuid=uuid)


def tell_ended(request: HttpRequest, count: int) -> None:
    """On the next page: how many sessions ended, or that there was none."""
    if count:
        ended = ngettext("%(count)s session fermée.", "%(count)s sessions fermées.", count)
        messages.success(request, ended % {"count": count})
    else:
        messages.info(request, _("Aucune session n'était ouverte."))


class PasswordFromLink(PasswordResetFromKeyView):
    """The page behind a reset link; whoever chose the password here signs in here, whatever strangers try."""

    def form_valid(self, form: NewPasswordForm) -> HttpResponse:
        response: HttpResponse = super().form_valid(form)
        devices.trust(self.request, self.reset_user)
        return response
