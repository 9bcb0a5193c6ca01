"""Sign-in: allauth's flows under our rules.

One canonical login; the same answer, with one password hash, for an unknown login, a wrong password and a
deactivated account; every outcome audited; mails through `accounts.emails`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial, wraps
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.auth_backends import AuthenticationBackend
from allauth.account.forms import LoginForm as AllauthLoginForm
from allauth.account.forms import ReauthenticateForm as AllauthReauthenticateForm
from allauth.account.forms import default_token_generator
from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY, record_authentication
from allauth.account.utils import user_pk_to_url_str
from allauth.core.internal import ratelimit
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import authenticate
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from accounts import audit, contacts, devices, emails, kept, throttle
from accounts.actions import passwords, sessions
from accounts.forms.passwords import NewPasswordForm as ChosenPasswordForm
from accounts.forms.passwords import current_password_field
from accounts.identifiers import Invalid, canonical_login
from accounts.models import User
from accounts.origin import current_request
from accounts.signed_request import SignedRequest

# Asking for a reset answers after this time, whether an account was found or not.
RESET_ANSWER_SECONDS = 0.3
# Failures in a browser that is known for the login: apart from those of strangers, whatever their network.
KNOWN_BROWSER_LIMITS = {"login_failed": "10/15m/key"}
LIMIT_SECONDS = 15 * 60

View = Callable[..., HttpResponse]


def account_of(login: str) -> User | None:
    """Whose login this is, in any spelling; None when it cannot be one."""
    try:
        return User.objects.select_related("practice").filter(login_key=canonical_login(login)).first()
    except Invalid:
        return None


class LoginBackend(AuthenticationBackend):
    """Login and password; exactly one hash whatever is wrong."""

    def authenticate(
        self, request: HttpRequest | None, username: str = "", password: str = "", **_credentials: Any
    ) -> User | None:
        user = account_of(username)
        if user is None:
            User().set_password(password)
            return None
        matches = user.check_password(password)
        return user if matches and self.user_can_authenticate(user) else None


class Adapter(DefaultAccountAdapter):
    """What allauth asks the project."""

    error_messages = DefaultAccountAdapter.error_messages | {
        "username_password_mismatch": _(
            "Ce login et ce mot de passe ne vont pas ensemble, ou le compte n'est pas actif. "
            "Vérifiez les majuscules, ou demandez un nouveau mot de passe."
        ),
        "incorrect_password": _("Ce n'est pas le bon mot de passe."),
        "too_many_login_attempts": _("Trop d'essais. Attendez 15 minutes avant de réessayer."),
        "invalid_password_reset": _("Ce lien ne fonctionne plus. Demandez-en un nouveau."),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        typed: str = credentials.get("username", "")
        try:
            return canonical_login(typed)
        except Invalid:
            return typed.strip().casefold()

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Take a place among the failures, given back on success: in the browser's own bucket when it is
        known for this login, else in the login's and the network's (security SR-5, SR-6).
        """
        key = self._get_login_attempts_cache_key(request, **credentials)
        user = account_of(credentials.get("username", ""))
        browser = devices.known(request, user)
        self._login_failed_rl_usage = ratelimit.consume(
            request,
            app="allauth.account",
            action="login_failed",
            key=f"browser:{browser}" if browser else key,
            config=KNOWN_BROWSER_LIMITS if browser else None,
        )
        if not self._login_failed_rl_usage:
            throttle.note("signin", browser or key, LIMIT_SECONDS, subject=user)
            raise self.validation_error("too_many_login_attempts")

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        user = account_of(credentials.get("username", ""))
        with transaction.atomic():
            audit.record("account:session:refused", actor=None, system="signin", subject=user)

    def authenticate(self, request: HttpRequest, **credentials: Any) -> User | None:
        self.pre_authenticate(request, **credentials)
        user = authenticate(request, **credentials)
        if user is None:
            self.authentication_failed(request, **credentials)
            return None
        self._rollback_login_failed_rl_usage()
        return user

    def reauthenticate(self, user: User, password: str) -> bool:
        found = self.authenticate(self.request, username=user.login, password=password)
        if found is None or found.pk != user.pk:
            return False
        note_proof(self.request)
        return True

    def login(self, request: HttpRequest, user: User) -> None:
        user.backend = "accounts.signin.LoginBackend"
        # The very first sign-in follows the invitation in the same minute: nothing to tell.
        is_new = user.last_login is not None and not devices.known(request, user)
        now = timezone.now()
        with transaction.atomic():
            super().login(request, user)
            begin_session(request, now)
            sessions.end_oldest(user=user, now=now)
            audit.record("account:session:began", actor=user, subject=user, at=now)
            if is_new:
                browser, network = request.session["browser"], request.session["network"]
                context = {"when": now, "browser": browser, "network": network}
                emails.queue("new_device", user=user, context=context)
        note_proof(request)
        devices.trust(request, user)

    def get_reauthentication_methods(self, user: User) -> list[dict[str, str]]:
        """The password alone: the second factor was part of the sign-in."""
        return [{"id": "reauthenticate", "url": reverse("account_reauthenticate")}]

    def logout(self, request: SignedRequest) -> None:
        with transaction.atomic():
            audit.record("account:session:ended", actor=request.user, subject=request.user)
        super().logout(request)

    def set_password(self, user: User, password: str) -> None:
        passwords.reset_password(user=user, password=password, now=timezone.now())

    def confirm_email(self, request: HttpRequest, email_address: Any) -> bool:
        if not passwords.confirm_email(address=email_address, now=timezone.now()):
            messages.warning(request, _("Cette adresse est devenue celle d'un autre compte."))
            return False
        messages.success(request, _("Votre adresse e-mail est vérifiée."))
        return True

    def add_message(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        """Nothing: our views say in our words what happened."""

    def get_email_verification_redirect_url(self, email_address: Any) -> str:
        return reverse("home") if self.request.user.is_authenticated else reverse("account_login")

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Nothing: our actions send the mails, and no stranger gets one."""


class LoginForm(AllauthLoginForm):
    """Login and password in the portal's words."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        attributes = {"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}
        self.fields = {
            "login": forms.CharField(
                label=_("Login"),
                max_length=600,
                widget=forms.TextInput(attrs=attributes),
                help_text=_("Votre login, par exemple votre adresse e-mail ou votre numéro INAMI."),
            ),
            "password": current_password_field(label=_("Mot de passe")),
        }


class ReauthenticateForm(AllauthReauthenticateForm):
    """The password once more."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields = {"password": current_password_field(label=_("Mot de passe"))}


class ResetPasswordForm(forms.Form):
    """Asks for the address; the answer is the same, and takes as long, whether it is known or not."""

    email = forms.CharField(
        label=_("E-mail"), max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "email"})
    )

    def clean_email(self) -> str:
        try:
            return contacts.email(self.cleaned_data["email"]).lower()
        except Invalid as error:
            message = _("Cette adresse n'est pas complète. Exemple : anne.dupont@exemple.be")
            raise forms.ValidationError(message, code=error.args[0]) from error

    def save(self, request: HttpRequest, **_kwargs: Any) -> str:
        deadline = time.monotonic() + RESET_ANSWER_SECONDS
        email: str = self.cleaned_data["email"]
        user = User.objects.active().filter(email_key=contacts.email_key(email)).first()
        if user and user.has_usable_password():
            emails.queue("password_reset", user=user, context={"link": reset_link(user)}, ring_now=False)
        emails.ring_sweep()
        time.sleep(max(0.0, deadline - time.monotonic()))
        return email


class NewPasswordForm(ChosenPasswordForm):
    """The new password behind a reset link, in the shape allauth's view expects."""

    def __init__(self, *args: Any, temp_key: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)

    def save(self) -> None:
        assert self.user is not None  # noqa: S101  the view shows the form for a valid link only
        passwords.reset_password(user=self.user, password=self.cleaned_data["password1"], now=timezone.now())


def begin_session(request: HttpRequest, now: datetime) -> None:
    """Note in the session when, where and in which browser it began, and store it."""
    seconds = int(now.timestamp())
    request.session.update(
        {
            "began_at": seconds,
            "seen_at": seconds,
            "browser": devices.browser_of(request),
            "network": current_request.get().address,
        }
    )
    request.session.save()


def reset_link(user: User) -> str:
    """The single-use link of a reset: bound to the password and e-mail in force, 30 minutes."""
    arguments = {"uidb36": user_pk_to_url_str(user), "key": default_token_generator.make_token(user)}
    return emails.link(reverse("account_reset_password_from_key", kwargs=arguments))


# --- second proof ----------------------------------------------------------------------------
def note_proof(request: HttpRequest) -> None:
    """Remember that the person has just given the password, where allauth does."""
    record_authentication(request, request.user, method="password")


def proved_at(request: HttpRequest) -> datetime:
    """When the password was given last in this session; long ago when it never was."""
    proofs = request.session.get(AUTHENTICATION_METHODS_SESSION_KEY) or [{"at": 0}]
    return datetime.fromtimestamp(proofs[-1]["at"], tz=UTC)


def proved_recently(request: HttpRequest) -> bool:
    """Whether the password was given in this session in the last ten minutes."""
    age = time.time() - proved_at(request).timestamp()
    return age < settings.ACCOUNT_REAUTHENTICATION_TIMEOUT


def ask_second_proof(
    request: SignedRequest, *, secret: frozenset[str] = frozenset(), back: str = ""
) -> HttpResponse:
    """Go to the password page and back here, or to `back`; what was typed here (but `secret` fields) waits,
    sealed.
    """
    if request.method == "POST" and not back:
        kept.keep(request, owner=request.user.uuid, secret=secret)
    query = urlencode({"next": back or request.get_full_path()})
    return redirect(f"{reverse('account_reauthenticate')}?{query}")


def second_proof_required(view: View, *, page: str = "") -> View:
    """A function view whose POST needs a password given in the last ten minutes (security SR-14).

    One comes back to its own address, or to `page`, a route about the same person.
    """

    @wraps(view)
    def guarded(request: SignedRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method == "POST" and not proved_recently(request):
            about = {"uuid": kwargs["uuid"]} if "uuid" in kwargs else {}
            return ask_second_proof(request, back=reverse(page, kwargs=about) if page else "")
        return view(request, *args, **kwargs)

    return guarded


def second_proof_from(page: str) -> Callable[[View], View]:
    """The same for a button, which has no page of its own: one presses it again on `page`."""
    return partial(second_proof_required, page=page)
