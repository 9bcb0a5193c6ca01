"""« Reprendre mes données d'un autre cabinet »: the owner proves the first account, once, on one page."""

from __future__ import annotations

from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth import authenticate
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts import throttle
from accounts.access import Forbidden, subject_or_404
from accounts.actions import factor
from accounts.forms.passwords import current_password_field
from accounts.identifiers import Invalid, canonical_login
from accounts.models import User
from accounts.signed_request import SignedRequest
from accounts.signin import account_of, ask_second_proof, proved_recently
from billing.takeover import NotProved, note_refusal, take_over
from ehealth.models import Keystore
from practitioners.actions import NihiiTaken
from practitioners.addresses import MOST_ADDRESSES

TRIES, TRIES_OF_LOGIN, TRIES_SECONDS = 5, 10, 15 * 60
NOT_PROVED = gettext_lazy(
    "Ces données ne peuvent pas être reprises. Vérifiez le login, le mot de passe et le code de votre autre "
    "compte, et que les deux comptes portent votre numéro national."
)


class ProofForm(forms.Form):
    """Login and password of the first account, and a code where it has a second factor."""

    login = forms.CharField(
        label=gettext_lazy("Login de votre autre compte"),
        max_length=600,
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )
    password = current_password_field(label=gettext_lazy("Mot de passe de votre autre compte"))
    code = forms.CharField(
        label=gettext_lazy("Code de votre autre compte"),
        help_text=gettext_lazy("Seulement si cet autre compte demande un code à la connexion."),
        required=False,
        max_length=40,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "spellcheck": "false"}),
    )


@sensitive_post_parameters("password", "code")
@require_http_methods(["GET", "POST"])
def takeover(request: SignedRequest, uuid: UUID) -> HttpResponse:
    """Owner only. The password of this account is asked first (security SR-14), then the other's."""
    subject = subject_or_404(request.user, uuid)
    if subject.pk != request.user.pk:
        raise Forbidden("takeover")
    if not proved_recently(request):
        return ask_second_proof(request)
    form = ProofForm(request.POST or None)
    if request.method == "POST" and form.is_valid() and _try(request, form):
        return redirect("home")
    status = 422 if request.method == "POST" else 200
    return render(request, "ehealth/takeover.html", {"form": form, "subject": subject}, status=status)


def _try(request: SignedRequest, form: ProofForm) -> bool:
    """Whether the data is here now; otherwise the form says that it is not, never why."""
    login = form.cleaned_data["login"]
    if not _may_try(request.user, login):
        form.add_error(None, _("Trop d'essais. Attendez 15 minutes avant de réessayer."))
        return False
    first = authenticate(request, username=login, password=form.cleaned_data["password"])
    if first and not _passes_factor(first, form.cleaned_data["code"]):
        first = None
    try:
        first = take_over(
            user=request.user, first=first, by=request.user, now=timezone.now(), most_addresses=MOST_ADDRESSES
        )
    except NotProved:
        note_refusal(login_of=account_of(login), now=timezone.now())
        form.add_error(None, NOT_PROVED)
    except NihiiTaken:
        form.add_error(
            None, _("Une autre personne de ce cabinet a votre numéro INAMI. Voyez un administrateur.")
        )
    else:
        _tell(request, first)
        return True
    return False


def _passes_factor(first: User, code: str) -> bool:
    """An account that asks for a code at sign-in gives nothing away without one."""
    return not factor.is_active(first) or factor.verify(user=first, code=code, now=timezone.now())


def _may_try(user: User, login: str) -> bool:
    """Few tries for one person, and few about one login, known or not, from whatever account."""
    try:
        key = canonical_login(login)
    except Invalid:
        key = login.strip().casefold()
    mine = throttle.allow("takeover", user.pk, TRIES, TRIES_SECONDS, by=user)
    return mine and throttle.allow("takeover_of", key, TRIES_OF_LOGIN, TRIES_SECONDS, by=user)


def _tell(request: SignedRequest, first: User) -> None:
    messages.success(request, _("Vos données sont reprises. Vérifiez chaque partie avant de continuer."))
    keystore = Keystore.objects.in_force().filter(user=first).first()
    if keystore:
        words = _(
            "Votre trousseau « %(file)s », valable jusqu'au %(day)s, ne se copie pas : "
            "choisissez-le de nouveau."
        )
        day = date_format(timezone.localtime(keystore.not_after), "DATE_FORMAT")
        messages.info(request, words % {"file": keystore.file_name, "day": day})
