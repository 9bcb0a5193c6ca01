"""« Mon cabinet »: the board of a manager, its reminders, and the board as a file."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.http import urlencode
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from accounts import access, audit
from accounts.access import Capability, subject_or_404
from accounts.signed_request import SignedRequest
from accounts.signin import ask_second_proof, proved_recently
from medisetup import practice_board, reminders
from medisetup.practice_board import ACTORS, NOBODY, BoardFilter
from medisetup.readiness import items
from medisetup.sheets import FORMATS, refusal, sheet

PEOPLE_PER_PAGE = 50


@require_GET
def people(request: SignedRequest) -> HttpResponse:
    """Who of the practice is ready, who is not, who must act next."""
    access.require(request.user, Capability.SEE_PRACTICE_READINESS)
    visible = access.visible_users(request.user)
    everybody, chosen = practice_board.board(visible, timezone.now()), BoardFilter(request.GET)
    page = Paginator(chosen.apply(everybody), PEOPLE_PER_PAGE).get_page(request.GET.get("page"))
    totals = practice_board.totals(everybody)
    context = {
        "page": page,
        "items": items(),
        "filter": chosen,
        "kept": urlencode(chosen.values()),
        "practice": request.user.practice,
        "totals": totals,
        "actors": [
            {"label": label, "count": totals[name], "url": f"?acts={name}"}
            for name, label in ACTORS.items()
            if name != NOBODY
        ],
        "inactive": visible.filter(is_active=False).order_by("last_name", "pk"),
        "may_create": Capability.CREATE_USER in access.rights(request),
        "formats": FORMATS,
    }
    return render(request, "medisetup/people.html", context)


@require_GET
def export(request: SignedRequest, file_format: str) -> HttpResponse:
    """The people of the filter, as a file; the password is asked again after ten minutes (SR-50)."""
    access.require(request.user, Capability.SEE_PRACTICE_READINESS)
    if file_format not in FORMATS:
        raise Http404
    if not proved_recently(request):
        return ask_second_proof(request)
    if refused := refusal(request):
        return refused
    now = timezone.now()
    rows = BoardFilter(request.GET).apply(practice_board.board(access.visible_users(request.user), now))
    with transaction.atomic():
        practice = request.user.practice
        audit.record(
            "account:people:exported", actor=request.user, practice=practice, at=now, count=len(rows)
        )
    table = [practice_board.header(), *map(practice_board.line, rows)]
    return sheet("medisetup", file_format, table)


@require_POST
def remind(request: SignedRequest, uuid: UUID) -> HttpResponse:
    """One reminder to one person."""
    subject = subject_or_404(request.user, uuid)
    if reminders.remind(user=subject, by=request.user, now=timezone.now()):
        messages.success(request, _("Un rappel part vers %(name)s.") % {"name": subject.get_full_name()})
    else:
        messages.warning(request, _refusal(reminders.next_possible(subject)))
    return _back(request)


def _refusal(again: datetime | None) -> str:
    if again is None:
        return _("Cette personne n'a rien à faire, ou ne s'est pas encore connectée : rien n'est parti.")
    moment = date_format(localtime(again), "SHORT_DATETIME_FORMAT")
    return _("Un rappel est déjà parti ; le prochain est possible à partir du %(moment)s.") % {
        "moment": moment
    }


@require_POST
def remind_all(request: SignedRequest) -> HttpResponse:
    """A reminder to everybody else on the board, as filtered, who must act and was not written to lately."""
    count = reminders.remind_all(by=request.user, shown=BoardFilter(request.POST), now=timezone.now())
    if count:
        said = ngettext("%(count)s rappel est parti.", "%(count)s rappels sont partis.", count)
        messages.success(request, said % {"count": count})
    else:
        nobody = _(
            "Aucun rappel n'est parti : chacun en a reçu un il y a moins de trois jours, ou n'a rien à faire."
        )
        messages.warning(request, nobody)
    return _back(request)


def _back(request: SignedRequest) -> HttpResponse:
    kept = BoardFilter(request.POST).values()
    return redirect(f"{reverse('people')}?{urlencode(kept)}" if kept else "people")
