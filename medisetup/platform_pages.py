"""The pages of the portal's staff: the platform at a glance, one practice, one person; readings audited."""

from __future__ import annotations

from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from accounts import access
from accounts.access import Capability
from accounts.identifiers import mask_ssin
from accounts.signed_request import SignedRequest
from ehealth import presenters
from medisetup import platform_board, practice_board
from medisetup.board_pages import PEOPLE_PER_PAGE
from medisetup.checklist import checklist
from medisetup.practice_board import BoardFilter
from medisetup.readiness import items
from medisetup.views import checklist_context

PRACTICES_PER_PAGE = 25


@require_GET
def platform(request: SignedRequest) -> HttpResponse:
    """Practices by readiness, the funnel, where people get stuck, what ends when, how polling does."""
    access.require(request.user, Capability.SEE_PLATFORM)
    now = timezone.now()
    today = timezone.localdate(now)
    found, moment = platform_board.recent_overview(now)
    search = request.GET.get("search", "")[:80]
    page = Paginator(platform_board.matching(found.lines, search), PRACTICES_PER_PAGE).get_page(
        request.GET.get("page")
    )
    context = {
        "overview": found,
        "moment": moment,
        "search": search,
        "page": page,
        "median_days": platform_board.median_days(),
        "charts": [
            platform_board.funnel_chart(found),
            platform_board.readiness_chart(found),
            platform_board.stuck_chart(found),
            platform_board.edmg_chart(),
            platform_board.certificates_chart(today),
            platform_board.licences_chart(today),
        ],
        "mailboxes": platform_board.mailbox_facts(now),
        "open_endpoints": presenters.open_endpoints(),
    }
    return render(request, "medisetup/platform.html", context)


@require_GET
def practice(request: SignedRequest, uuid: UUID) -> HttpResponse:
    """One practice as its manager sees it, without the buttons."""
    found = access.any_practice_or_404(request.user, uuid)
    everybody = practice_board.board(platform_board.active().filter(practice=found), timezone.now())
    chosen = BoardFilter(request.GET)
    page = Paginator(chosen.apply(everybody), PEOPLE_PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "practice": found,
        "page": page,
        "items": items(),
        "filter": chosen,
        "totals": practice_board.totals(everybody),
    }
    return render(request, "medisetup/platform_practice.html", context)


@require_GET
def person(request: SignedRequest, uuid: UUID) -> HttpResponse:
    """One person's readiness, read only; numbers masked."""
    subject = access.anybody_or_404(request.user, uuid)
    facts = checklist_context(subject, checklist(subject), owner=False)
    for name in ("blocking", "recommended"):
        facts[name] = [row | {"url": ""} for row in facts[name]]
    practitioner = getattr(subject, "practitioner", None)
    facts["ssin"] = mask_ssin(practitioner.ssin) if practitioner and practitioner.ssin else ""
    facts["nihii"] = f"•••{practitioner.nihii[-3:]}" if practitioner and practitioner.nihii else ""
    return render(request, "medisetup/platform_person.html", facts)
