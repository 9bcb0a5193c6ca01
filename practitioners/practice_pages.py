"""« Mon cabinet »: what the practice is called and is, and its billing addresses (rules 3.7)."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.access import Capability, Forbidden, billing_addresses, capabilities, require
from accounts.identifiers import format_bce
from accounts.models import Practice
from accounts.sections import VersionedView
from accounts.signed_request import SignedRequest, is_signed
from practitioners import actions
from practitioners.practice import PracticeForm


class PracticePage(VersionedView[PracticeForm]):
    """Managers see the practice and its addresses; administrators change name and type."""

    template_name = "practitioners/practice.html"
    title = gettext_lazy("Mon cabinet")
    button = gettext_lazy("Modifier le cabinet")
    # What is to be done after this save, or "".
    follows = ""

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        if is_signed(request):
            require(request.user, Capability.MANAGE_BILLING_ADDRESSES)
            self.may_edit = Capability.EDIT_PRACTICE in capabilities(request.user)

    def form(self, data: Any = None, files: Any = None) -> PracticeForm:
        return PracticeForm(data, files, practice=Practice.objects.get(pk=self.request.user.practice_id))

    def post(self, request: SignedRequest, *args: Any, **places: Any) -> HttpResponse:
        if not self.may_edit:
            raise Forbidden(Capability.EDIT_PRACTICE)
        return super().post(request, *args, **places)

    def save(self, form: PracticeForm) -> None:
        actions.save_practice(
            by=self.request.user,
            version=form.cleaned_data["version"],
            now=timezone.now(),
            **form.values(),
        )
        self.follows = what_follows(form) if "type" in form.changed_data else ""

    def done(self) -> HttpResponse:
        answer = super().done()
        if self.follows:
            messages.info(self.request, self.follows)
        return answer

    def done_url(self) -> str:
        return reverse("practitioners:practice")

    def context(self, form: PracticeForm) -> dict[str, Any]:
        practice = form.practice
        flat_rate = practice.type == Practice.Type.FLAT_RATE_HOUSE
        rows = billing_addresses(self.request.user).annotate(count=Count("users"))
        return {
            "may_edit": self.may_edit,
            "flat_rate": flat_rate,
            "houses": [row.user for row in actions.houses(practice) if flat_rate or row.user.is_active],
            "facts": [
                {"key": form.fields["name"].label, "value": practice.name},
                {"key": form.fields["type"].label, "value": practice.get_type_display()},
            ],
            "addresses": [
                {"row": row, "count": row.count, "bce": format_bce(row.bce) if row.bce else ""}
                for row in rows
            ],
        }


def what_follows(form: PracticeForm) -> str:
    """What is to be done once the type is another, or ''."""
    chosen = form.cleaned_data["type"]
    if chosen == Practice.Type.FLAT_RATE_HOUSE:
        return _(
            "Un compte peut maintenant avoir la profession « Maison médicale au forfait », avec le numéro "
            "INAMI de la maison et sa personne de contact."
        )
    names = [row.user.get_full_name() for row in actions.houses(form.practice)]
    if form.leaves_flat_rate(chosen) and names:
        return _(
            "Les données de la maison médicale sont effacées. Profession à choisir, ou compte à désactiver : "
            "%(names)s."
        ) % {"names": ", ".join(names)}
    return ""
