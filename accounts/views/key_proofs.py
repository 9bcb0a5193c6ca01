"""What the key scripts talk to: challenges, registration, proofs, the file code. JSON answers only.

Contract: head of static/js/keys.js. No file is taken anywhere here; bodies end at 8 KiB.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from django import forms
from django.conf import settings
from django.http import HttpResponse, JsonResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from accounts import throttle
from accounts.actions import key_challenges, key_resets
from accounts.actions import keys as actions
from accounts.actions.key_challenges import KeyProblem
from accounts.forms.keys import ProofForm, RegisterForm, RotateForm, SessionProofForm
from accounts.keys import LARGEST_TEXT, KeyRefused
from accounts.models import PersonalKey
from accounts.signed_request import SignedRequest
from accounts.signin import proved_recently

CHALLENGES, CHALLENGES_SECONDS = 30, 600
CODES, CODES_SECONDS = 5, 3600
SHAPES = ("application/x-www-form-urlencoded", "application/json")
STATUS = {
    "key_required": 403,
    "second_proof_required": 403,
    "too_large": 413,
    "throttled": 429,
    "challenge_invalid": 409,
    "key_exists": 409,
    "key_mismatch": 409,
    "key_superseded": 409,
    "key_in_use": 409,
    "code_missing": 409,
    "reset_open": 409,
    "unexpected": 400,
}
WEAK: dict[str, Promise] = {
    "size": _("taille insuffisante"),
    "exponent": _("exposant inhabituel"),
    "small_factor": _("facteur trop petit"),
    "roca": _("défaut connu de certaines cartes à puce"),
    "close_primes": _("facteurs trop proches"),
    "prime": _("module invalide"),
}

View = Callable[..., HttpResponse]
FormT = TypeVar("FormT", bound=forms.Form)


def refusal(code: str, *, url: str = "", **params: str) -> JsonResponse:
    """The answer of a refused act: its code, what fills its sentence, where to go if anywhere."""
    answer: dict[str, Any] = {"code": code, "params": params}
    return JsonResponse(answer | ({"url": url} if url else {}), status=STATUS.get(code, 422))


def key_endpoint(view: View) -> View:
    """A POST of the key scripts: small, without files; refusals become JSON with their code."""

    @require_POST
    @sensitive_post_parameters()
    @wraps(view)
    def answered(request: SignedRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if int(request.META.get("CONTENT_LENGTH") or 0) > LARGEST_TEXT:
            return refusal("too_large")
        if request.content_type not in SHAPES:
            return refusal("unexpected")
        try:
            return view(request, *args, **kwargs)
        except KeyProblem as problem:
            return refusal(problem.code, **problem.params)
        except KeyRefused as refused:
            return refusal(refused.code, **_weakness(refused))

    return answered


def _weakness(refused: KeyRefused) -> dict[str, str]:
    return {"weakness": refused.reason, "reason": str(WEAK[refused.reason])} if refused.reason else {}


def session_of(request: SignedRequest) -> str:
    """The key of the session that a challenge is bound to."""
    return request.session.session_key or ""


def filled(form: FormT) -> FormT:
    """The form when it is valid; raises `KeyProblem` unexpected for what no page of ours sends."""
    if form.is_valid():
        return form
    raise KeyProblem("unexpected")


def key_was_proved(request: SignedRequest) -> None:
    """The session has shown the key: it gets a new id and passes the gate."""
    request.session.cycle_key()
    request.session["key_proved_at"] = int(time.time())


def wanted_page(request: SignedRequest, otherwise: str) -> str:
    """Where the person wanted to go, if that is a page of ours; else the named one."""
    wanted = request.GET.get("next", "")
    return wanted if url_has_allowed_host_and_scheme(wanted, allowed_hosts=None) else reverse(otherwise)


def second_proof_refusal(page: str) -> JsonResponse:
    """The password is needed again; the script goes there, and comes back to `page`."""
    query = urlencode({"next": page})
    return refusal("second_proof_required", url=f"{reverse('account_reauthenticate')}?{query}")


def with_second_proof(page: str) -> Callable[[View], View]:
    """Only after the password was given in the last ten minutes; `page` names where to come back to."""

    def guard(view: View) -> View:
        @wraps(view)
        def guarded(request: SignedRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not proved_recently(request):
                return second_proof_refusal(wanted_page(request, page))
            return view(request, *args, **kwargs)

        return guarded

    return guard


def _posted_json(request: SignedRequest) -> dict[str, str]:
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        raise KeyProblem("unexpected") from None
    if not isinstance(body, dict) or not all(isinstance(value, str) for value in body.values()):
        raise KeyProblem("unexpected")
    return body


@key_endpoint
def challenge(request: SignedRequest) -> HttpResponse:
    """A fresh challenge for this person, session and purpose."""
    me = request.user
    if not throttle.allow("key-challenge", me.pk, CHALLENGES, CHALLENGES_SECONDS, by=me):
        raise KeyProblem("throttled", minutes=str(CHALLENGES_SECONDS // 60))
    body = _posted_json(request)
    purpose, binding = body.get("purpose", ""), body.get("binding", "-")
    made = key_challenges.issue(
        user=request.user, session=session_of(request), purpose=purpose, binding=binding, now=timezone.now()
    )
    live = actions.live_key(request.user)
    return JsonResponse(
        {
            "id": made.pk,
            "nonce": made.nonce,
            "user": str(request.user.uuid),
            "origin": key_challenges.origin(),
            "seconds": int(key_challenges.LIFE.total_seconds()),
            "fingerprint": live.fingerprint if live else "",
        }
    )


@key_endpoint
def register(request: SignedRequest) -> HttpResponse:
    """The first pair, or the first after a loss."""
    form = filled(RegisterForm(request.POST))
    data = form.cleaned_data
    actions.register(
        user=request.user,
        session=session_of(request),
        proof=form.answer(),
        origin=data["origin"],
        prepared=data["prepared"],
        now=timezone.now(),
        **form.pair(),
    )
    key_was_proved(request)
    return JsonResponse({"next": reverse("accounts:key_backup")})


@key_endpoint
def prove(request: SignedRequest) -> HttpResponse:
    """The key shows itself: silently at sign-in, or from its file on another computer."""
    form = filled(SessionProofForm(request.POST))
    key = actions.prove_session(
        user=request.user,
        session=session_of(request),
        purpose=form.cleaned_data["purpose"],
        proof=form.answer(),
        public_key=form.cleaned_data["public_key"],
        browser=request.headers.get("User-Agent", "")[:160],
        now=timezone.now(),
    )
    key_was_proved(request)
    return JsonResponse({"next": _after_proof(request, key, form.cleaned_data["purpose"])})


def _after_proof(request: SignedRequest, key: PersonalKey, purpose: str) -> str:
    if key_resets.open_reset(request.user, timezone.now()):
        return reverse("accounts:key")
    if purpose == "import" and key.prepared:
        return reverse("accounts:key_prepared")
    return wanted_page(request, "home")


@key_endpoint
def backup(request: SignedRequest) -> HttpResponse:
    """The saved file was read again: the first time, and whenever its owner wants."""
    return _backed_up(request, second=False)


@key_endpoint
def second_backup(request: SignedRequest) -> HttpResponse:
    """A copy on another medium was read."""
    return _backed_up(request, second=True)


def _backed_up(request: SignedRequest, *, second: bool) -> HttpResponse:
    form = filled(ProofForm(request.POST))
    session, now = session_of(request), timezone.now()
    actions.prove_backup(user=request.user, session=session, proof=form.answer(), second=second, now=now)
    key_was_proved(request)
    return JsonResponse({"next": reverse("accounts:key" if second else "home")})


@key_endpoint
@with_second_proof("accounts:key")
def code(request: SignedRequest) -> HttpResponse:
    """The kept file code."""
    if not throttle.allow("key-code", request.user.pk, CODES, CODES_SECONDS, by=request.user):
        raise KeyProblem("throttled", minutes=str(CODES_SECONDS // 60))
    return JsonResponse({"code": actions.release_code(user=request.user, now=timezone.now())})


@key_endpoint
@with_second_proof("accounts:key_rotate")
def rotate(request: SignedRequest) -> HttpResponse:
    """A new pair in the place of the old: both sign."""
    form = filled(RotateForm(request.POST))
    session, now = session_of(request), timezone.now()
    actions.rotate(user=request.user, session=session, now=now, **form.answers(), **form.pair())
    key_was_proved(request)
    request.session.pop("backup_postponed", None)
    return JsonResponse({"next": reverse("accounts:key_backup")})


def session_is_proved(request: SignedRequest) -> bool:
    """Whether this session may act on the key; always, where the installation does not ask for the key."""
    return settings.KEY_SESSION_PROOF != "required" or "key_proved_at" in request.session
