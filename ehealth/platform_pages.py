"""How the platform answers: « Tester ma configuration » and the log of exchanges. Nothing here calls it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from accounts import access, throttle
from accounts.access import Capability, Forbidden, subject_or_404
from accounts.models import User
from accounts.signed_request import SignedRequest
from ehealth import presenters
from ehealth.actions import checks
from ehealth.forms import ExchangeFilter
from ehealth.models import Exchange, PlatformCheck
from ehealth.views import REFRESH_SECONDS

EXCHANGES_PER_PAGE = 50
# Each press may make several calls, which the platform counts over all doctors of the portal (SR-120).
TESTS, TESTS_SECONDS = 12, 3600


# --- « Tester ma configuration » --------------------------------------------------------------
@require_GET
def checks_page(request: SignedRequest, uuid: UUID) -> HttpResponse:
    """One button per capability for the owner; the last results for who helps."""
    subject = subject_or_404(request.user, uuid)
    return render(request, "ehealth/checks.html", checks_context(subject, request.user))


@require_GET
def checks_state(request: SignedRequest, uuid: UUID) -> HttpResponse:
    """The fragment with the results, while one is under way."""
    subject = subject_or_404(request.user, uuid)
    return render(request, "ehealth/checks_fragment.html", checks_context(subject, request.user))


def checks_context(subject: User, reader: User) -> dict[str, Any]:
    """For the page and for its fragment alike."""
    state = presenters.checks_state(subject)
    return {
        "subject": subject,
        "is_owner": subject.pk == reader.pk,
        "state": state,
        "down": presenters.platform_down(),
        "state_url": reverse("ehealth:checks_state", args=[subject.uuid]) if state["moving"] else "",
        "state_page": reverse("ehealth:checks", args=[subject.uuid]),
        "seconds": REFRESH_SECONDS,
    }


@require_POST
def run_checks(request: SignedRequest, uuid: UUID) -> HttpResponse:
    """Ask for one capability, or for all that change nothing at the platform."""
    subject = subject_or_404(request.user, uuid)
    asked = request.POST.get("capability", "")
    if asked and asked not in PlatformCheck.Capability.values:
        return HttpResponseBadRequest()
    if not throttle.allow("checks", request.user.pk, TESTS, TESTS_SECONDS, by=request.user):
        return throttle.too_many(request, seconds=TESTS_SECONDS)
    names = [asked] if asked else checks.HARMLESS
    checks.ask(user=subject, by=request.user, capabilities=names, now=timezone.now())
    return redirect("ehealth:checks", uuid=uuid)


# --- exchanges --------------------------------------------------------------------------------
@require_GET
def exchanges(request: SignedRequest, uuid: UUID) -> HttpResponse:
    """What was exchanged for one person: for the owner, and for the portal's staff."""
    subject = _reader_of_exchanges(request.user, uuid)
    rows = Exchange.objects.filter(user=subject)
    return _log(request, rows, {"subject": subject, "is_owner": subject.pk == request.user.pk})


def _reader_of_exchanges(reader: User, uuid: UUID) -> User:
    if reader.uuid != uuid and Capability.SEE_PLATFORM in access.capabilities(reader):
        return access.anybody_or_404(reader, uuid)
    subject = subject_or_404(reader, uuid)
    if subject.pk != reader.pk:
        raise Forbidden(Capability.SEE_PLATFORM)
    return subject


@require_GET
def all_exchanges(request: SignedRequest) -> HttpResponse:
    """What was exchanged for everybody, without names: how the platform does."""
    access.require(request.user, Capability.SEE_PLATFORM)
    return _log(request, Exchange.objects.all(), {"open_endpoints": presenters.open_endpoints()})


def _log(request: SignedRequest, rows: Any, context: dict[str, Any]) -> HttpResponse:
    chosen = ExchangeFilter(request.GET)
    page = Paginator(chosen.apply(rows).order_by("-started_at", "-id"), EXCHANGES_PER_PAGE).get_page(
        request.GET.get("page")
    )
    lines = [presenters.exchange_line(row) for row in page]
    return render(
        request, "ehealth/exchanges.html", context | {"filter": chosen, "page": page, "lines": lines}
    )
