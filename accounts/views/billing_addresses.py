"""The billing addresses of one's practice: add one, correct one, remove one that nobody chose."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from accounts.access import Capability, billing_address_or_404, require
from accounts.actions import practices
from accounts.actions.practices import AddressInUse
from accounts.forms.billing_address import BillingAddressForm
from accounts.models import BillingAddress, User
from accounts.sections import VersionedView
from accounts.signed_request import SignedRequest, is_signed

NAMED_AT_MOST = 10


class NewAddress(VersionedView[BillingAddressForm]):
    """An address to choose from in the page « Utilisateur »."""

    template_name = "accounts/billing_address.html"
    title = gettext_lazy("Nouvelle adresse de facturation")
    button = gettext_lazy("Créer l'adresse")

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        if is_signed(request):
            require(request.user, Capability.MANAGE_BILLING_ADDRESSES)

    def form(self, data: Any = None, files: Any = None) -> BillingAddressForm:
        return BillingAddressForm(data, files, address=BillingAddress(practice=self.request.user.practice))

    def save(self, form: BillingAddressForm) -> None:
        practices.create_address(by=self.request.user, values=form.values(), now=timezone.now())

    def done(self) -> HttpResponse:
        messages.success(self.request, _("L'adresse de facturation est enregistrée."))
        return redirect(self.done_url())

    def done_url(self) -> str:
        return reverse("practitioners:practice")


class Address(NewAddress):
    """One address as everybody who chose it has it."""

    title = gettext_lazy("Adresse de facturation")
    button = gettext_lazy("Corriger l'adresse")
    uuid: UUID

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        self.uuid = kwargs["billing_address"]

    def address(self) -> BillingAddress:
        """As stored now; 404 when it was removed."""
        return billing_address_or_404(self.request.user, self.uuid)

    def form(self, data: Any = None, files: Any = None) -> BillingAddressForm:
        return BillingAddressForm(data, files, address=self.address())

    def save(self, form: BillingAddressForm) -> None:
        try:
            practices.change_address(
                address=self.address(),
                by=self.request.user,
                version=form.cleaned_data["version"],
                now=timezone.now(),
                **form.values(),
            )
        except BillingAddress.DoesNotExist:
            raise Http404 from None

    def context(self, form: BillingAddressForm) -> dict[str, Any]:
        address = self.address()
        return {"address": address, "users": practices.users_of(address)}


@require_POST
def remove(request: SignedRequest, billing_address: UUID) -> HttpResponse:
    """A second click finds nothing to do; an address in use stays, and the page names who uses it."""
    try:
        address = billing_address_or_404(request.user, billing_address)
        practices.remove_address(address=address, by=request.user, now=timezone.now())
    except Http404:
        messages.info(request, _("Cette adresse n'existe plus dans votre cabinet."))
    except AddressInUse as used:
        messages.warning(request, refusal(used.users))
        return redirect("accounts:billing_address", billing_address=billing_address)
    else:
        messages.success(request, _("L'adresse de facturation est supprimée."))
    return redirect("practitioners:practice")


def refusal(users: list[User]) -> str:
    names = [user.get_full_name() for user in users[:NAMED_AT_MOST]]
    names += ["…"] * (len(users) > NAMED_AT_MOST)
    return _(
        "L'adresse n'est pas supprimée : elle sert à %(names)s. "
        "Choisissez d'abord une autre adresse dans leur page « Utilisateur »."
    ) % {"names": ", ".join(names)}
