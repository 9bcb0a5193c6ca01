"""A lost key: the owner's choices, the administrator's request, its use and its end."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts import throttle
from accounts.access import subject_or_404
from accounts.actions import key_resets
from accounts.actions.key_challenges import KeyProblem
from accounts.actions.keys import live_key
from accounts.forms.keys import ProofForm, ResetForm
from accounts.models import User
from accounts.signed_request import SignedRequest
from accounts.signin import ask_second_proof, proved_recently, second_proof_required
from accounts.views.key_pages import key_page
from accounts.views.key_proofs import filled, key_endpoint, second_proof_refusal, session_of

REPORTS, REPORTS_SECONDS = 3, 24 * 3600


@require_http_methods(["GET", "POST"])
@second_proof_required
def lost(request: SignedRequest) -> HttpResponse:
    """« J'ai perdu ma clé »: another computer, the file, else the practice's administrators."""
    if live_key(request.user) is None:
        return redirect("accounts:key")
    if request.method == "POST":
        return _report(request)
    now = timezone.now()
    reset = key_resets.open_reset(request.user, now)
    context = {
        "reset": reset,
        "is_open": reset is not None and reset.opens_at <= now,
        "administrators": key_resets.administrators(request.user),
        "support": settings.SUPPORT_EMAIL,
    }
    return render(request, "accounts/key_lost.html", context)


def _report(request: SignedRequest) -> HttpResponse:
    if not throttle.allow("key-lost", request.user.pk, REPORTS, REPORTS_SECONDS, by=request.user):
        return throttle.too_many(request, seconds=REPORTS_SECONDS)
    if key_resets.report_lost(user=request.user, now=timezone.now()):
        messages.success(request, _("Votre demande est partie vers les administrateurs de votre cabinet."))
    else:
        messages.warning(request, _("Votre cabinet n'a pas d'autre administrateur. Écrivez au support."))
    return redirect("accounts:key_lost")


@require_http_methods(["GET", "POST"])
@second_proof_required
def use(request: SignedRequest) -> HttpResponse:
    """The owner gives up the lost key and goes on to make a new pair."""
    if request.method == "GET":
        return redirect("accounts:key_lost")
    try:
        key_resets.use(user=request.user, now=timezone.now())
    except KeyProblem:
        messages.warning(request, _("Cette réinitialisation n'est pas encore ouverte, ou ne l'est plus."))
        return redirect("accounts:key_lost")
    request.session.cycle_key()
    request.session.pop("key_proved_at", None)
    return redirect("accounts:key")


@require_http_methods(["GET", "POST"])
def reset(request: SignedRequest, uuid: UUID) -> HttpResponse:
    """An administrator's request, signed with the administrator's own key."""
    subject = subject_or_404(request.user, uuid)
    key_resets.check_may_reset(by=request.user, subject=subject)
    if not subject.is_active:
        raise Http404
    if request.method == "POST":
        return _ask(request, subject)
    if not proved_recently(request):
        return ask_second_proof(request)
    return _reset_page(request, subject)


@key_endpoint
def _ask(request: SignedRequest, subject: User) -> HttpResponse:
    if not proved_recently(request):
        return second_proof_refusal(request.path)
    form = ResetForm(request.POST)
    if not form.is_valid():
        raise KeyProblem("reason_short")
    key_resets.ask(
        subject=subject,
        by=request.user,
        session=session_of(request),
        proof=filled(ProofForm(request.POST)).answer(),
        reason=request.POST["reason"],
        now=timezone.now(),
    )
    return JsonResponse({"next": request.path})


def _reset_page(request: SignedRequest, subject: User) -> HttpResponse:
    key = live_key(request.user)
    root = key_page(request, "action", action=request.path, key=key, next_url=request.path)
    root |= {"what": "key-reset", "subject": subject.uuid}
    context = {
        "root": root,
        "subject": subject,
        "has_key": live_key(subject) is not None,
        "form": ResetForm(),
        "open_reset": key_resets.open_reset(subject, timezone.now()),
        "person_url": reverse("person", args=[subject.uuid]),
    }
    return render(request, "accounts/key_reset.html", context)


@require_POST
def cancel(request: SignedRequest, uuid: UUID) -> HttpResponse:
    """« Ce n'est pas moi » of the owner, or second thoughts of an administrator."""
    subject = subject_or_404(request.user, uuid)
    key_resets.cancel(subject=subject, by=request.user, now=timezone.now())
    if subject.pk != request.user.pk:
        messages.success(request, _("La demande est annulée ; la personne en est avertie."))
        return redirect("accounts:key_reset", uuid=subject.uuid)
    request.session.cycle_key()
    messages.warning(
        request,
        _("La demande est arrêtée, vos autres sessions sont fermées. Changez maintenant votre mot de passe."),
    )
    return redirect("accounts:account", uuid=subject.uuid)
