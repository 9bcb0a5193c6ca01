"""« Historique de mon dossier » for the owner, the practice's journal for those who answer for it."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.timezone import localtime, make_aware
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET

from accounts import access, audit, journal
from accounts.access import Forbidden
from accounts.forms.declared import field_of, hide_optional
from accounts.models import AuditEvent, User
from accounts.signed_request import SignedRequest
from accounts.signin import second_proof_required
from medisetup import journal_words as words
from medisetup.sheets import FORMATS, refusal, sheet

EVENTS_PER_PAGE = 50
EXPORTED_AT_MOST = 10_000
SYSTEM = "system"


def day_field(label: Any) -> forms.DateField:
    widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    return forms.DateField(label=label, required=False, widget=widget)


def midnight(day: date) -> datetime:
    """When a day begins here; a plain comparison lets the index work."""
    return make_aware(datetime.combine(day, time.min))


class JournalFilter(forms.Form):
    """What of the journal to show; read from the address, so that a view can be kept and shared."""

    person = forms.ChoiceField(label=gettext_lazy("Dossier de"), required=False)
    group = forms.ChoiceField(label=gettext_lazy("Sujet"), required=False)
    actor = forms.ChoiceField(label=gettext_lazy("Fait par"), required=False)
    since = day_field(gettext_lazy("Depuis le"))
    until = day_field(gettext_lazy("Jusqu'au"))

    def __init__(self, *args: Any, reader: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        everybody = [("", _("Tous"))]
        people = access.visible_users(reader).order_by("last_name", "first_name", "pk")
        names = [(str(user.uuid), user.get_full_name()) for user in people]
        field_of(self, "person", forms.ChoiceField).choices = everybody + names
        field_of(self, "actor", forms.ChoiceField).choices = [
            *everybody,
            (SYSTEM, _("Le portail lui-même")),
            *names,
        ]
        groups = [(name, words.GROUPS[name]) for name in journal.readable_groups(reader)]
        field_of(self, "group", forms.ChoiceField).choices = [*everybody, *groups]
        hide_optional(self, *self.fields)

    def apply(self, events: QuerySet[AuditEvent]) -> QuerySet[AuditEvent]:
        """The events that match; none when the filter cannot be read, for a wrong one must not widen."""
        if not self.is_valid():
            return events.none()
        chosen = self.cleaned_data
        if chosen["person"]:
            about_nobody_else = Q(subject=None, actor=chosen["person"])
            events = events.filter(Q(subject=chosen["person"]) | about_nobody_else)
        if chosen["group"]:
            events = events.filter(journal.in_groups([chosen["group"]]))
        if chosen["actor"]:
            events = events.filter(actor=None if chosen["actor"] == SYSTEM else chosen["actor"])
        if chosen["since"]:
            events = events.filter(at__gte=midnight(chosen["since"]))
        if chosen["until"]:
            events = events.filter(at__lt=midnight(chosen["until"] + timedelta(days=1)))
        return events


def line(event: AuditEvent) -> dict[str, Any]:
    """One event, ready to be read."""
    return {
        "exact": event.at.isoformat(),
        "when": date_format(localtime(event.at), "SHORT_DATETIME_FORMAT"),
        "what": words.sentence(event.kind),
        "actor": words.actor(event),
        "subject": event.subject_name,
        "address": event.address,
        "details": words.details(event),
    }


def page_of(request: SignedRequest, events: QuerySet[AuditEvent]) -> dict[str, Any]:
    page = Paginator(events, EVENTS_PER_PAGE).get_page(request.GET.get("page"))
    return {"page": page, "lines": [line(event) for event in page]}


@require_GET
def history(request: SignedRequest, uuid: UUID) -> HttpResponse:
    """All that was done to one's own file, readings by the portal's staff included."""
    subject = access.subject_or_404(request.user, uuid)
    if subject.pk != request.user.pk:
        raise Forbidden("history")
    context = page_of(request, journal.of_person(subject))
    return render(request, "medisetup/history.html", context | {"subject": subject})


@require_GET
def practice_journal(request: SignedRequest) -> HttpResponse:
    """What happened in the practice, filtered, page by page."""
    events = journal.of_practice(request.user)
    chosen = JournalFilter(request.GET, reader=request.user)
    context = page_of(request, chosen.apply(events))
    context |= {"filter": chosen, "practice": request.user.practice, "formats": FORMATS}
    return render(request, "medisetup/journal.html", context)


@second_proof_required
def export(request: SignedRequest) -> HttpResponse:
    """The filtered journal as a file; taking it away is an event of the journal itself."""
    events = journal.of_practice(request.user)
    if request.method != "POST":  # back from the page that asks for the password
        return redirect(f"{reverse('journal')}?{request.GET.urlencode()}")
    chosen = JournalFilter(request.GET, reader=request.user)
    kind = request.POST.get("format")
    if kind not in FORMATS or not chosen.is_valid():
        return HttpResponseBadRequest()
    found = list(chosen.apply(events)[: EXPORTED_AT_MOST + 1])
    if len(found) > EXPORTED_AT_MOST:
        return too_many(request, chosen)
    if refused := refusal(request):
        return refused
    asked = ", ".join(f"{name}={given}" for name, given in chosen.cleaned_data.items() if given)
    with transaction.atomic():
        audit.record(
            "account:journal:exported", actor=request.user, count=len(found), format=kind, filter=asked
        )
    return sheet("journal", kind, [header(), *(row(event) for event in found)])


def too_many(request: SignedRequest, chosen: JournalFilter) -> HttpResponse:
    message = _("Un fichier contient %(count)s lignes au plus. Choisissez une période plus courte.")
    chosen.add_error("since", message % {"count": EXPORTED_AT_MOST})
    context = {"filter": chosen, "practice": request.user.practice, "formats": FORMATS}
    return render(request, "medisetup/journal.html", context, status=422)


def header() -> list[str]:
    return [_("Quand"), _("Quoi"), _("Dossier de"), _("Fait par"), _("Détails"), _("Depuis le réseau")]


def row(event: AuditEvent) -> list[str]:
    """The cells of a line, the same as on the page; the moment with its zone."""
    shown = line(event)
    cells = [shown["what"], shown["subject"], shown["actor"], details_in_line(event), shown["address"]]
    return [localtime(event.at).isoformat(timespec="seconds"), *cells]


def details_in_line(event: AuditEvent) -> str:
    """The details of an event one after the other."""
    return "; ".join(
        _("%(field)s : %(sentence)s")
        % {"field": entry["label"], "sentence": " → ".join(filter(None, (entry["before"], entry["after"])))}
        for entry in words.details(event)
    )
