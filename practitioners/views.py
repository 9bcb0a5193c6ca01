"""The sections of the practitioner, and « Nouvel utilisateur »."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from accounts import kept
from accounts.access import Capability, require
from accounts.actions.people import Refused
from accounts.sections import SectionView
from accounts.signed_request import SignedRequest, is_signed
from accounts.signin import ask_second_proof, proved_recently
from practitioners import actions
from practitioners.addresses import AddressesForm
from practitioners.forms import IDENTITY_FIXED, GeneralForm
from practitioners.people import NewPersonForm
from practitioners.reference import HOUSE


class General(SectionView[GeneralForm]):
    form_class = GeneralForm
    template_name = "practitioners/general.html"
    title = gettext_lazy("Informations générales")
    button = gettext_lazy("Modifier l'intervenant")
    action = staticmethod(actions.save_general)

    def save(self, form: GeneralForm) -> None:
        try:
            super().save(form)
        except actions.NihiiTaken:
            form.add_error(
                "nihii",
                _(
                    "Une autre personne de ce cabinet a déjà ce numéro INAMI. Vérifiez-le, ou "
                    "utilisez le compte existant."
                ),
            )
        except actions.IdentityFixed:
            form.add_error("nihii", IDENTITY_FIXED)
        else:
            if form.followed_number():
                messages.info(
                    self.request, _("Statut et spécialité ont suivi le nouveau numéro INAMI : vérifiez-les.")
                )

    def context(self, form: GeneralForm) -> dict[str, Any]:
        return {
            "house_possible": form.house_possible,
            "may_take_over": form["profession"].value() != HOUSE,
        }


class Addresses(SectionView[AddressesForm]):
    form_class = AddressesForm
    template_name = "practitioners/addresses.html"
    title = gettext_lazy("Adresses")
    button = gettext_lazy("Modifier l'intervenant")
    action = staticmethod(actions.save_addresses)

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        if is_signed(request) and not hasattr(self.subject, "practitioner"):
            raise Http404

    def post(self, request: SignedRequest, uuid: UUID) -> HttpResponse:
        if "add" in request.POST:
            return self.page(self.form(request.POST).unjudged())
        return super().post(request, uuid)

    def context(self, form: AddressesForm) -> dict[str, Any]:
        parts = form.parts()
        return {
            "formsets": [{"forms": parts}],
            "errors_anywhere": form.errors or any(part.errors for part in parts if part.is_bound),
        }


@require_http_methods(["GET", "POST"])
def new_person(request: SignedRequest) -> HttpResponse:
    """« Nouvel utilisateur »: account, caregiver, licence and invitation in one go.

    It gives roles, so the password is asked again after ten minutes (security SR-14); what was typed waits.
    """
    require(request.user, Capability.CREATE_USER)
    typed = kept.give_back(request, owner=request.user.uuid) if request.method == "GET" else request.POST
    if typed and request.method == "GET":
        messages.info(request, _("Votre saisie a été gardée"))
    form = NewPersonForm(typed if typed or request.method == "POST" else None, actor=request.user)
    if request.method == "POST" and form.is_valid():
        if not proved_recently(request):
            return ask_second_proof(request)
        try:
            user = actions.create_person(
                practice=request.user.practice, by=request.user, now=timezone.now(), **form.cleaned_data
            )
        except Refused as refused:
            form.add_error(refused.field or None, str(refused))
        else:
            messages.success(
                request, _("Le compte est créé et l'invitation part vers %(email)s.") % {"email": user.email}
            )
            return redirect("person", uuid=user.uuid)
    status = 422 if request.method == "POST" and form.errors else 200
    return render(
        request, "practitioners/new.html", {"form": form, "title": _("Nouvel utilisateur")}, status=status
    )
