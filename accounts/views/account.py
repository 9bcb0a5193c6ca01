"""The section « Utilisateur » and the page of a first own password."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods

from accounts import devices, throttle
from accounts.actions import passwords
from accounts.actions.account import save_account
from accounts.actions.people import Refused
from accounts.forms.account import AccountForm
from accounts.forms.passwords import NewPasswordForm
from accounts.models import User
from accounts.passwords import REQUIREMENTS
from accounts.sections import SectionView
from accounts.signed_request import SignedRequest
from accounts.signin import note_proof, second_proof_required

TRIES, TRIES_SECONDS = 5, 15 * 60


class Account(SectionView[AccountForm]):
    """Login, e-mail, roles, password, billing address of the licence, hubs."""

    form_class = AccountForm
    template_name = "accounts/account.html"
    title = gettext_lazy("Utilisateur")
    button = gettext_lazy("Modifier l'utilisateur")
    action = staticmethod(save_account)

    def needs_second_proof(self, form: AccountForm) -> bool:
        """The owner gives the current password in the form itself; somebody else proves it is them."""
        return not self.is_owner and form.changes_access()

    def save(self, form: AccountForm) -> None:
        values = form.cleaned_data
        tried = bool(values.get("current_password"))
        if tried and not throttle.allow(
            "current_password", self.subject.pk, TRIES, TRIES_SECONDS, by=self.request.user
        ):
            form.add_error("current_password", _("Trop d'essais. Attendez 15 minutes avant de réessayer."))
            return
        try:
            super().save(form)
        except Refused as refused:
            form.add_error(refused.field or None, str(refused))
        except ValidationError as errors:
            form.add_error("password", errors)
        else:
            self.follow_up(form)

    def follow_up(self, form: AccountForm) -> None:
        """What the browser must know after the save: still signed in, mail on its way."""
        self.subject.refresh_from_db()
        if self.is_owner and form.cleaned_data.get("current_password"):
            throttle.forget("current_password", self.subject.pk, TRIES)
            note_proof(self.request)
        if self.is_owner and form.cleaned_data.get("password"):
            stay_signed_in(self.request, self.subject)
        if "email" in form.changed_data and (pending := passwords.pending_email(self.subject)):
            messages.info(
                self.request,
                _("Un lien de confirmation part vers %(email)s. L'adresse compte dès qu'il est ouvert.")
                % {"email": pending},
            )

    def context(self, form: AccountForm) -> dict[str, Any]:
        return {
            "requirements": REQUIREMENTS,
            "pending_email": form.pending_email,
            "email_verified": passwords.email_is_verified(self.subject),
            "no_address": not form.addresses,
            "address_fields": address_fields(form),
        }


def stay_signed_in(request: SignedRequest, user: User) -> None:
    """The new password ended all sessions: this browser goes on in a new one, and is known under it."""
    update_session_auth_hash(request, user)
    devices.trust(request, user)


def address_fields(form: AccountForm) -> list[Any]:
    """The bound fields of a new billing address, in the order of the page."""
    return [field for field in form if field.name.startswith("address_")]


@require_GET
def password_change(request: SignedRequest) -> HttpResponse:
    """A password is changed in the account section."""
    return redirect("accounts:account", uuid=request.user.uuid)


@require_http_methods(["GET", "POST"])
@sensitive_post_parameters("password1", "password2")
@second_proof_required
def own_password(request: SignedRequest) -> HttpResponse:
    """Somebody else set the password in force: the owner replaces it before anything else (rules 6.1)."""
    if request.user.password_own_at is not None:
        return redirect("home")
    form = NewPasswordForm(request.POST or None, user=request.user)
    if request.method == "POST" and form.is_valid():
        try:
            passwords.change_password(
                user=request.user, password=form.cleaned_data["password1"], now=timezone.now()
            )
        except passwords.SamePassword as same:
            form.add_error("password1", str(same))
        else:
            stay_signed_in(request, request.user)
            messages.success(request, _("Votre mot de passe est enregistré."))
            return redirect("home")
    context = {"form": form, "requirements": REQUIREMENTS}
    return render(request, "accounts/own_password.html", context, status=422 if form.errors else 200)
