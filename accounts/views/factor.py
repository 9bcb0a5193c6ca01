"""Pages of the second factor: at sign-in, to begin, to see and renew the recovery codes, to stop."""

from __future__ import annotations

import base64
import time
from io import BytesIO
from typing import Any

import qrcode
from allauth.mfa.base.views import AuthenticateView
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST
from qrcode.image.svg import SvgPathImage

from accounts import throttle
from accounts.actions import factor
from accounts.forms.factor import TOO_MANY, TRIES, TRIES_SECONDS, WRONG, FactorForm, FirstCodeForm
from accounts.models import User
from accounts.sealing import CannotOpen, sealer
from accounts.signed_request import SignedRequest
from accounts.signin import ask_second_proof, proved_recently, second_proof_from

ISSUER = "medisetup"
# The session that gave a right code; the Gate looks at it.
PASSED = "factor_at"
SEED = "factor_seed"


def note_passed(request: HttpRequest) -> None:
    request.session[PASSED] = int(time.time())


@method_decorator([login_not_required, sensitive_post_parameters("code")], name="dispatch")
class SignInStep(AuthenticateView):
    """After the password: the code, before there is a session."""

    form_class = FactorForm
    template_name = "accounts/factor_step.html"

    def form_valid(self, form: FactorForm) -> HttpResponse:
        note_passed(self.request)
        response: HttpResponse = self.stage.exit()
        return response

    def form_invalid(self, form: FactorForm) -> HttpResponse:
        response: HttpResponse = super().form_invalid(form)
        response.status_code = 422
        return response


@require_http_methods(["GET", "POST"])
@sensitive_post_parameters("code")
def overview(request: SignedRequest) -> HttpResponse:
    """Without a factor: how to begin one. With one: its state."""
    if factor.is_active(request.user):
        context = {"left": factor.codes_left(request.user), "may_manage": bool(request.session.get(PASSED))}
        return render(request, "accounts/factor.html", context)
    if not proved_recently(request):
        return ask_second_proof(request, secret=frozenset({"code"}))
    return begin(request)


def begin(request: SignedRequest) -> HttpResponse:
    """The seed as a picture and as text; a right code makes it the factor and shows the recovery codes."""
    seed = pending_seed(request)
    form = FirstCodeForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        if not throttle.allow("factor", request.user.pk, TRIES, TRIES_SECONDS, by=request.user):
            form.add_error("code", TOO_MANY)
        else:
            try:
                codes = factor.activate(
                    user=request.user, seed=seed, code=form.cleaned_data["code"], now=timezone.now()
                )
            except factor.AlreadyActive:
                return redirect("accounts:factor")
            except factor.WrongCode:
                form.add_error("code", WRONG)
            else:
                return activated(request, codes)
    context = {"form": form, "seed": grouped(seed), "picture": picture(request.user, seed)}
    return render(request, "accounts/factor_begin.html", context, status=422 if form.errors else 200)


def activated(request: SignedRequest, codes: list[str]) -> HttpResponse:
    """This session goes on under a new name; the others have ended."""
    request.session.pop(SEED, None)
    request.session.cycle_key()
    note_passed(request)
    messages.success(request, _("Votre second facteur est actif. Vos autres sessions ont pris fin."))
    return render(request, "accounts/factor_codes.html", {"codes": codes})


@require_POST
@second_proof_from("accounts:factor")
def codes(request: SignedRequest) -> HttpResponse:
    """Ten new recovery codes, shown this once."""
    if not request.session.get(PASSED) or not factor.is_active(request.user):
        return redirect("accounts:factor")
    found = factor.renew_codes(user=request.user, now=timezone.now())
    return render(request, "accounts/factor_codes.html", {"codes": found})


@require_POST
@second_proof_from("accounts:factor")
def remove(request: SignedRequest) -> HttpResponse:
    """Stop asking for a second factor; the session that passed it may."""
    if request.session.get(PASSED) and factor.remove(user=request.user, by=request.user, now=timezone.now()):
        request.session.pop(PASSED)
        request.session.cycle_key()
        messages.success(request, _("Le second facteur n'est plus demandé."))
    return redirect("accounts:factor")


@require_http_methods(["GET", "POST"])
@sensitive_post_parameters("code")
def prove(request: SignedRequest) -> HttpResponse:
    """The code in a session that began without one: before the right that requires it was given."""
    if request.session.get(PASSED) or not factor.is_active(request.user):
        return redirect("accounts:factor")
    form = FactorForm(request.POST if request.method == "POST" else None, user=request.user)
    if form.is_valid():
        note_passed(request)
        request.session.cycle_key()
        return redirect(wanted(request))
    return render(request, "accounts/factor_step.html", {"form": form}, status=422 if form.errors else 200)


def wanted(request: SignedRequest) -> str:
    """Where the person was going, on this portal only."""
    target = request.GET.get("next", "")
    own = url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure())
    return target if own else "/"


# --- the seed before it counts ----------------------------------------------------------------
def pending_seed(request: SignedRequest) -> bytes:
    """The seed offered in this session, sealed there between the page and its answer."""
    person = request.user.uuid
    place: dict[str, Any] = {"table": "session", "column": SEED, "row": person, "owner": person}
    kept = request.session.get(SEED)
    if kept:
        try:
            return sealer().open(base64.b64decode(kept), version=1, **place)
        except CannotOpen:
            pass
    seed = factor.new_seed()
    request.session[SEED] = base64.b64encode(sealer().seal(seed, version=1, **place)).decode()
    return seed


def grouped(seed: bytes) -> str:
    """The seed as it is typed into an application, in groups of four."""
    text = base64.b32encode(seed).decode()
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))


def picture(user: User, seed: bytes) -> str:
    """The QR code of the seed as the address of an SVG image."""
    uri = TOTP(seed, factor.DIGITS, factor.HASH, factor.STEP_SECONDS).get_provisioning_uri(user.login, ISSUER)
    content = BytesIO()
    qrcode.make(uri, image_factory=SvgPathImage).save(content)
    return "data:image/svg+xml;base64," + base64.b64encode(content.getvalue()).decode()
