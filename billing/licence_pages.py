"""The licence of a person, with the request of one click; the requests as the portal's staff handles them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.access import Capability, anybody_or_404, require, subject_or_404
from accounts.actions import licences
from accounts.actions.licences import LicenceRefused
from accounts.identifiers import format_nihii, nihii_identity
from accounts.models import Licence, LicenceRequest, User
from accounts.signed_request import SignedRequest
from billing.licence_forms import InvoiceForm, PaymentForm
from billing.licence_words import FILLED_IN, REFUSED, standing
from practitioners.models import Practitioner

PER_PAGE = 50


# --- the person's page ------------------------------------------------------------------------
@require_http_methods(["GET", "POST"])
def licence(request: SignedRequest, uuid: UUID) -> HttpResponse:
    """Owner and managers: what the licence is today, and the button that asks for a year."""
    subject = subject_or_404(request.user, uuid)
    practitioner = Practitioner.objects.filter(user=subject).first() or Practitioner()
    if request.method == "POST":
        return _request_year(request, subject, practitioner)
    return render(request, "billing/licence.html", licence_context(request, subject, practitioner))


def _request_year(request: SignedRequest, subject: User, practitioner: Practitioner) -> HttpResponse:
    try:
        licences.request_year(user=subject, by=request.user, nihii=practitioner.nihii, now=timezone.now())
    except LicenceRefused as refused:
        messages.warning(request, str(REFUSED[refused.key]))
    else:
        messages.success(request, _("La licence d'un an est demandée. La facture suivra."))
    return redirect("billing:licence", uuid=subject.uuid)


def licence_context(request: SignedRequest, subject: User, practitioner: Practitioner) -> dict[str, Any]:
    today = timezone.localdate()
    row = Licence.objects.filter(user=subject).first()
    missing = licences.missing(user=subject, nihii=practitioner.nihii) if row else []
    opened = licences.open_request(row) if row else None
    is_owner = subject.pk == request.user.pk
    numbers = [practitioner.ssin, nihii_identity(practitioner.nihii) if practitioner.nihii else ""]
    return {
        "subject": subject,
        "is_owner": is_owner,
        "back_url": reverse("home") if is_owner else reverse("person", args=[subject.uuid]),
        "licence": row,
        "standing": standing(row, today=today) if row else None,
        # Nobody else learns of another account in another practice.
        "known_before": is_owner
        and row is not None
        and row.state != Licence.State.ACTIVE
        and licences.had_provisional_before(row, numbers),
        "sent": sent_rows(subject, practitioner),
        "missing": [
            {"label": REFUSED[key], "url": reverse(FILLED_IN[key], args=[subject.uuid])} for key in missing
        ],
        "may_request": row is not None and not missing and not opened and licences.renewable(row, today),
        "is_active": row is not None and row.standing(today) == Licence.State.ACTIVE,
    }


def sent_rows(subject: User, practitioner: Practitioner) -> list[dict[str, Any]]:
    """What the request carries, as the page shows it before."""
    return [
        {"key": _("Médecin"), "value": subject.get_full_name()},
        {"key": _("Numéro INAMI"), "value": format_nihii(practitioner.nihii) if practitioner.nihii else ""},
        {"key": _("Cabinet"), "value": subject.practice.name},
        {"key": _("Adresse de facturation"), "value": str(subject.billing_address or "")},
    ]


# --- staff ------------------------------------------------------------------------------------
@require_GET
def queue(request: SignedRequest) -> HttpResponse:
    """Requests that wait for somebody of the portal, the oldest first."""
    require(request.user, Capability.ACTIVATE_LICENCE)
    rows = LicenceRequest.objects.filter(activated_at=None).select_related("licence__user")
    page = Paginator(rows.order_by("requested_at", "pk"), PER_PAGE).get_page(request.GET.get("page"))
    today = timezone.localdate()
    lines = [{"request": row} | step(row) | standing(row.licence, today=today) for row in page]
    return render(request, "billing/licence_queue.html", {"page": page, "lines": lines})


def step(row: LicenceRequest) -> dict[str, str]:
    """What the request waits for."""
    if row.paid_on:
        return {"next": _("À activer"), "next_kind": "todo"}
    if row.invoiced_on:
        return {"next": _("Paiement attendu"), "next_kind": "waiting"}
    return {"next": _("À facturer"), "next_kind": "todo"}


def waiting_of(request: SignedRequest, uuid: UUID) -> tuple[User, LicenceRequest]:
    """The person, whose reading is written down, and the open request. 403 for others than staff."""
    require(request.user, Capability.ACTIVATE_LICENCE)
    subject = anybody_or_404(request.user, uuid)
    row = LicenceRequest.objects.filter(licence__user=subject, activated_at=None).first()
    if row is None:
        raise Http404
    return subject, row


@require_GET
def handle(request: SignedRequest, uuid: UUID) -> HttpResponse:
    """One request: what was sent, invoice, payment, activation."""
    subject, row = waiting_of(request, uuid)
    return _page(request, subject, row)


def _page(
    request: SignedRequest, subject: User, row: LicenceRequest, *, status: int = 200, **forms_: Any
) -> HttpResponse:
    today = timezone.localdate()
    context = {
        "subject": subject,
        "request_row": row,
        "sent": [
            {"key": _("Médecin"), "value": row.name},
            {"key": _("Numéro INAMI"), "value": format_nihii(row.nihii)},
            {"key": _("Cabinet"), "value": row.practice_name},
            {"key": _("Adresse de facturation"), "value": row.billing_address},
            {"key": _("E-mail de facturation"), "value": row.billing_email},
        ],
        "standing": standing(row.licence, today=today),
        "invoice_form": InvoiceForm(
            today=today, initial={"number": row.invoice_number, "day": row.invoiced_on}
        ),
        "payment_form": PaymentForm(today=today, initial={"day": row.paid_on}),
        "form": None,
    }
    return render(request, "billing/licence_request.html", context | forms_, status=status)


@require_POST
def invoice(request: SignedRequest, uuid: UUID) -> HttpResponse:
    """Number and date of the invoice."""
    subject, row = waiting_of(request, uuid)
    form = InvoiceForm(request.POST, today=timezone.localdate())
    if not form.is_valid():
        return _page(request, subject, row, status=422, invoice_form=form, form=form)
    return _write(request, subject, form, licences.record_invoice, row, _("La facture est notée."))


@require_POST
def payment(request: SignedRequest, uuid: UUID) -> HttpResponse:
    """The day the invoice was paid."""
    subject, row = waiting_of(request, uuid)
    form = PaymentForm(request.POST, today=timezone.localdate())
    if not form.is_valid():
        return _page(request, subject, row, status=422, payment_form=form, form=form)
    return _write(request, subject, form, licences.record_payment, row, _("Le paiement est noté."))


def _write(
    request: SignedRequest,
    subject: User,
    form: forms.Form,
    action: Callable[..., None],
    row: LicenceRequest,
    done: str,
) -> HttpResponse:
    try:
        action(request=row, by=request.user, now=timezone.now(), **form.cleaned_data)
    except LicenceRefused as refused:
        messages.warning(request, str(REFUSED[refused.key]))
    else:
        messages.success(request, done)
    return redirect("billing:licence_request", uuid=subject.uuid)


@require_POST
def activate(request: SignedRequest, uuid: UUID) -> HttpResponse:
    """A year begins; owner and managers are told."""
    subject, row = waiting_of(request, uuid)
    try:
        active = licences.activate(request=row, by=request.user, now=timezone.now())
    except LicenceRefused as refused:
        messages.warning(request, str(REFUSED[refused.key]))
        return redirect("billing:licence_request", uuid=subject.uuid)
    last = active.ends_on and date_format(active.ends_on, "DATE_FORMAT")
    messages.success(
        request,
        _("La licence de %(name)s est active jusqu'au %(day)s inclus.")
        % {"name": subject.get_full_name(), "day": last},
    )
    return redirect("billing:licence_queue")
