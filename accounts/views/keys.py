"""The pages under /key/: make, save, read again, import, renew, give up. And their addresses."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.actions import key_resets
from accounts.actions import keys as actions
from accounts.actions.key_challenges import KeyProblem
from accounts.forms.keys import RevokeForm
from accounts.keys import display_fingerprint
from accounts.models import PersonalKey
from accounts.signed_request import SignedRequest
from accounts.signin import ask_second_proof, proved_recently, second_proof_required
from accounts.views import key_proofs
from accounts.views import key_resets as resets
from accounts.views.key_pages import key_page
from accounts.views.key_proofs import session_is_proved, wanted_page

REMINDER_DAYS = 730
STEPS = 3


def steps(current: int) -> list[dict[str, str]]:
    """Generate, save, check: where one is (0 to 2)."""
    labels = [_("Générer"), _("Enregistrer le fichier"), _("Vérifier la sauvegarde")]
    states = ["done"] * current + ["current"] + ["next"] * (STEPS - 1 - current)
    words = {"done": _("fait"), "current": _("en cours"), "next": _("à faire")}
    return [
        {"label": label, "state": state, "word": words[state]}
        for label, state in zip(labels, states, strict=True)
    ]


@require_GET
def key(request: SignedRequest) -> HttpResponse:
    """The gate with its one button; once there is a key, what is known of it."""
    live = actions.live_key(request.user)
    if live is None:
        root = key_page(request, "generate", action=reverse("accounts:key_register"), key=None)
        return render(request, "accounts/key_generate.html", {"root": root, "steps": steps(0)})
    if not session_is_proved(request):
        return redirect("accounts:key_session")
    return render(request, "accounts/key.html", overview(request, live))


def overview(request: SignedRequest, live: PersonalKey) -> dict[str, Any]:
    now = timezone.now()
    return {
        "key": live,
        "groups": display_fingerprint(live.fingerprint).split(),
        "history": PersonalKey.objects.filter(user=request.user).order_by("-created_at"),
        "reset": key_resets.open_reset(request.user, now),
        "old": (now - live.created_at).days > REMINDER_DAYS,
        "unproved": settings.KEY_SESSION_PROOF == "warn" and "key_proved_at" not in request.session,
        "pending": live.state == PersonalKey.State.PENDING,
    }


@require_http_methods(["GET", "POST"])
def backup(request: SignedRequest) -> HttpResponse:
    """Read the saved file again; with an active key, a second copy."""
    if request.method == "POST":
        return key_proofs.backup(request)
    live = actions.live_key(request.user)
    if live is None:
        return redirect("accounts:key")
    pending = live.state == PersonalKey.State.PENDING
    url = reverse("accounts:key_backup" if pending else "accounts:key_second_backup")
    root = key_page(request, "backup", action=url, key=live)
    return render(
        request,
        "accounts/key_backup.html",
        {"root": root, "key": live, "pending": pending, "steps": steps(2)},
    )


@require_POST
def postpone(request: SignedRequest) -> HttpResponse:
    """« Plus tard »: the portal opens for this session, the backup stays to be proven."""
    request.session["backup_postponed"] = True
    return redirect("home")


@require_POST
def discard(request: SignedRequest) -> HttpResponse:
    """« Je n'ai pas le fichier »: the pair whose backup was never proven is given up."""
    try:
        actions.discard(user=request.user, now=timezone.now())
    except KeyProblem:
        return redirect("accounts:key_lost")
    request.session.pop("key_proved_at", None)
    messages.success(request, _("L'ancienne paire est abandonnée. Générez-en une nouvelle."))
    return redirect("accounts:key")


@require_GET
def import_key(request: SignedRequest) -> HttpResponse:
    """Bring the key to this computer; without a live key, bring one from another program."""
    live = actions.live_key(request.user)
    wanted = wanted_page(request, "home")
    url = f"{reverse('accounts:key_prove')}?{urlencode({'next': wanted})}"
    action = url if live else reverse("accounts:key_register")
    root = key_page(request, "import", action=action, key=live, next_url=wanted)
    context = {
        "root": root,
        "key": live,
        "groups": display_fingerprint(live.fingerprint).split() if live else [],
        "pending": live is not None and live.state == PersonalKey.State.PENDING,
        "reset": key_resets.open_reset(request.user, timezone.now()) if live else None,
    }
    return render(request, "accounts/key_import.html", context)


@require_GET
def session(request: SignedRequest) -> HttpResponse:
    """The silent proof after the password; goes on by itself."""
    live = actions.live_key(request.user)
    if live is None:
        return redirect("accounts:key")
    wanted = wanted_page(request, "home")
    query = urlencode({"next": wanted})
    action = f"{reverse('accounts:key_prove')}?{query}"
    root = key_page(request, "session", action=action, key=live, next_url=wanted)
    root["import_url"] = f"{reverse('accounts:key_import')}?{query}"
    groups = display_fingerprint(live.fingerprint).split()
    return render(request, "accounts/key_session.html", {"root": root, "groups": groups})


@require_http_methods(["GET", "POST"])
def rotate(request: SignedRequest) -> HttpResponse:
    """Renew the pair; the password is asked before anything is made."""
    if request.method == "POST":
        return key_proofs.rotate(request)
    live = actions.live_key(request.user)
    if live is None:
        return redirect("accounts:key")
    if not proved_recently(request):
        return ask_second_proof(request)
    root = key_page(request, "rotate", action=reverse("accounts:key_rotate"), key=live)
    return render(request, "accounts/key_rotate.html", {"root": root, "key": live, "steps": steps(0)})


@require_http_methods(["GET", "POST"])
def prepared(request: SignedRequest) -> HttpResponse:
    """Somebody else made the key: renew it, or keep it knowingly."""
    live = actions.live_key(request.user)
    if live is None or not live.prepared or not session_is_proved(request):
        return redirect("accounts:key")
    if request.method == "GET":
        return render(request, "accounts/key_prepared.html", {"key": live})
    actions.keep(user=request.user, now=timezone.now())
    messages.success(request, _("Vous gardez cette clé. Vous pourrez la renouveler quand vous le voudrez."))
    return redirect("accounts:key")


@require_http_methods(["GET", "POST"])
@second_proof_required
def revoke(request: SignedRequest) -> HttpResponse:
    """Give up the key at once; only who has just shown it may, so that a stolen password is not enough."""
    if not actions.live_key(request.user) or not session_is_proved(request):
        return redirect("accounts:key")
    form = RevokeForm(request.POST if request.method == "POST" else None)
    if not form.is_valid():
        return render(request, "accounts/key_revoke.html", {"form": form}, status=422 if form.errors else 200)
    reason, now = form.cleaned_data["reason"], timezone.now()
    actions.revoke(user=request.user, by=request.user, reason=reason, now=now)
    request.session.cycle_key()
    request.session.pop("key_proved_at", None)
    messages.success(request, _("Votre clé est révoquée. Générez-en une nouvelle pour continuer."))
    return redirect("accounts:key")


routes = [
    path("key/", key, name="key"),
    path("key/challenge/", key_proofs.challenge, name="key_challenge"),
    path("key/register/", key_proofs.register, name="key_register"),
    path("key/backup/", backup, name="key_backup"),
    path("key/backup/second/", key_proofs.second_backup, name="key_second_backup"),
    path("key/backup/later/", postpone, name="key_postpone"),
    path("key/discard/", discard, name="key_discard"),
    path("key/code/", key_proofs.code, name="key_code"),
    path("key/import/", import_key, name="key_import"),
    path("key/session/", session, name="key_session"),
    path("key/prove/", key_proofs.prove, name="key_prove"),
    path("key/prepared/", prepared, name="key_prepared"),
    path("key/rotate/", rotate, name="key_rotate"),
    path("key/revoke/", revoke, name="key_revoke"),
    path("key/lost/", resets.lost, name="key_lost"),
    path("key/reset/", resets.use, name="key_reset_use"),
    path("people/<uuid:uuid>/key/reset/", resets.reset, name="key_reset"),
    path("people/<uuid:uuid>/key/reset/cancel/", resets.cancel, name="key_reset_cancel"),
]
