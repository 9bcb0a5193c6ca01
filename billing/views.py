"""The section of the financial settings, and the BIC of an IBAN while it is typed."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, JsonResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET

from accounts.identifiers import Invalid, format_bce
from accounts.sections import SectionView
from accounts.signed_request import is_signed
from billing import actions, bank
from billing.fields import bank_message
from billing.forms import FinancialForm
from billing.models import AssistantsAccount
from practitioners.models import Practitioner
from practitioners.reference import HOUSE, PHYSICIAN

ACCOUNTS = frozenset({"iban", "bic", "assistants_shared_iban", "assistants_shared_bic"})


class Financial(SectionView[FinancialForm]):
    form_class = FinancialForm
    template_name = "billing/financial.html"
    title = gettext_lazy("Données financières")
    button = gettext_lazy("Modifier les données financières")
    action = staticmethod(actions.save_financial)

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        if is_signed(request):
            practitioner = getattr(self.subject, "practitioner", None)
            if practitioner is None or practitioner.profession not in (PHYSICIAN, HOUSE):
                raise Http404

    def needs_second_proof(self, form: FinancialForm) -> bool:
        """An account is where the money goes: whoever changes it, and the owner who confirms another's."""
        changed = bool(ACCOUNTS.intersection(form.changed_data))
        confirms = self.is_owner and form.review is not None and form.review.to_review()
        return changed or (confirms and bool(form.cleaned_data.get("iban")))

    def context(self, form: FinancialForm) -> dict[str, Any]:
        iban = form["iban"].value() if "iban" in form.fields else ""
        shared = form["assistants_shared_iban"].value() if "assistants_shared_iban" in form.fields else ""
        return {
            "trainees": form.trainees(),
            "bank": self._known_bank(iban),
            "shared_bank": self._known_bank(shared),
            "lent": lent_rows(form.practitioner) if form.is_trainee else [],
            "awaited": awaited(form.practitioner) if form.is_trainee else "",
        }

    @staticmethod
    def _known_bank(text: str | None) -> dict[str, str]:
        """BIC and name of the bank for the page as it is drawn; empty when the IBAN is not valid."""
        try:
            number = bank.iban(text or "")
        except Invalid:
            return {"bic": "", "name": ""}
        return {"bic": bank.derive_bic(number) or "", "name": bank.bank_name(number)}


def awaited(trainee: Practitioner) -> str:
    """A sentence that names the supervisor who must act first, or ''."""
    supervisor = actions.supervisor_of(trainee)
    if supervisor is None or not actions.must_complete(supervisor):
        return ""
    return _(
        "Les données financières de %(name)s, votre maître de stage, sont incomplètes : à lui ou à elle de "
        "les compléter. D'ici là, les vôtres restent en attente."
    ) % {"name": supervisor.user.get_full_name()}


def lent_rows(trainee: Practitioner) -> list[dict[str, str]]:
    """Account, BIC and BCE that a trainee works with, and whose they are; empty without a supervisor."""
    supervisor = actions.supervisor_of(trainee)
    iban, bic_of_it = actions.paying_account(trainee)
    shared = AssistantsAccount.objects.filter(practice=trainee.practice).exists()
    if supervisor is None:
        return []
    name, bce = supervisor.user.get_full_name(), actions.bce_of(supervisor)
    return [
        {"key": _("Maître de stage"), "value": name},
        {"key": "IBAN", "value": bank.mask_iban(iban) if iban else ""},
        {"key": "BIC", "value": bic_of_it},
        {
            "key": _("Titulaire du compte"),
            "value": _("Compte bancaire partagé des assistants") if shared else name,
        },
        {"key": _("BCE (sans le BE)"), "value": format_bce(bce) if bce else ""},
    ]


@require_GET
def bic(request: HttpRequest) -> JsonResponse:
    """{bic, bank, error, missing}: what the server derives; the form derives it again on submit.

    `missing`: the IBAN is good and its BIC is not in the register, so the field for it opens.
    """
    try:
        number = bank.iban(request.GET.get("iban", "")[:60])
    except Invalid as refused:
        return JsonResponse({"bic": "", "bank": "", "error": bank_message(refused.code), "missing": False})
    found = bank.derive_bic(number) or ""
    error = "" if found else bank_message("bic_required")
    return JsonResponse({"bic": found, "bank": bank.bank_name(number), "error": error, "missing": not found})
