"""Home (my checklist), one person, help, error pages."""

from __future__ import annotations

import sys
from datetime import UTC
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET

from accounts import access
from accounts.access import Capability
from accounts.models import PersonalKey, SectionReview, User
from accounts.signed_request import SignedRequest
from billing.licence_words import licence_line
from ehealth.actions.account_change import open_tasks
from ehealth.presenters import platform_down
from medisetup import item, unavailable
from medisetup.checklist import Checklist, Line, checklist
from medisetup.templatetags.medisetup import OWNERS_ONLY, TABS, sections_of

TAGS = {
    item.DONE: "done",
    item.TODO: "todo",
    item.WAITING: "waiting",
    item.PROBLEM: "problem",
}


def link_of(line: Line, subject: User, *, owner: bool) -> str:
    """Where the item is done; '' for what only the owner can do."""
    if line.item.owner_only and not owner:
        return ""
    name, _hash, field = line.item.link.partition("#")
    whole_site = name in ("me", "ehealth:mailbox") or name.startswith(("accounts:key", "accounts:factor"))
    url = reverse(name) if whole_site else reverse(name, args=[subject.uuid])
    return f"{url}#id_{field}" if field else url


def rows(lines: list[Line], subject: User, *, owner: bool) -> list[dict[str, Any]]:
    """Rows for components/task_list.html."""
    return [
        {
            "id": line.item.id,
            "label": line.item.title if owner else line.item.neutral,
            "url": link_of(line, subject, owner=owner),
            "kind": TAGS[line.state],
            "status": line.word,
            "hint": line.item.unlocks,
        }
        for line in lines
    ]


def checklist_context(subject: User, checklist: Checklist, *, owner: bool) -> dict[str, Any]:
    done, total = checklist.done_count, checklist.total
    words = ngettext("%(done)s étape sur %(total)s terminée", "%(done)s étapes sur %(total)s terminées", done)
    return {
        "subject": subject,
        "checklist": checklist,
        "blocking": rows(checklist.blocking, subject, owner=owner),
        "recommended": rows(checklist.recommended, subject, owner=owner),
        "progress_words": words % {"done": done, "total": total},
        "next_url": link_of(checklist.next_line, subject, owner=owner) if checklist.next_line else "",
        "to_review": sections_to_review(subject),
        "licence": licence_line(subject, today=timezone.localdate()),
        "mutualities_to_tell": open_tasks(subject),
        "prepared_key": PersonalKey.objects.live().filter(user=subject, prepared=True, kept_at=None).exists(),
    }


def sections_to_review(subject: User) -> list[dict[str, Any]]:
    waiting = SectionReview.objects.filter(user=subject, prefilled_at__isnull=False, confirmed_at=None)
    keys = set(waiting.values_list("section", flat=True))
    return [
        {"url": reverse(name, args=[subject.uuid]), "label": label}
        for key, name, label in TABS
        if key in keys
    ]


@require_GET
def home(request: SignedRequest) -> HttpResponse:
    """« Ma configuration »: what is done, what is missing, what each item unlocks."""
    context = checklist_context(request.user, checklist(request.user), owner=True)
    context["down"] = platform_down()
    return render(request, "medisetup/home.html", context)


@require_GET
def me(request: SignedRequest) -> HttpResponse:
    """The initials at the bottom left: the first section that waits for a review, else the first tab."""
    waiting = sections_to_review(request.user)
    if waiting:
        return redirect(waiting[0]["url"])
    return redirect(sections_of(request.user)[0][1], uuid=request.user.uuid)


@require_GET
def person(request: SignedRequest, uuid: UUID) -> HttpResponse:
    """One person's readiness and sections, for those who help."""
    subject = access.subject_or_404(request.user, uuid)
    if subject.pk == request.user.pk:
        return redirect("home")
    context = checklist_context(subject, checklist(subject), owner=False)
    context["parts"] = parts_to_prefill(subject)
    context["may_reset_key"] = Capability.RESET_KEY in access.rights(request)
    return render(request, "medisetup/person.html", context)


def parts_to_prefill(subject: User) -> list[dict[str, Any]]:
    """The sections that others may fill in, each with how far it is."""
    reviews = {review.section: review for review in SectionReview.objects.filter(user=subject)}
    return [
        {"url": reverse(name, args=[subject.uuid]), "label": label, "state": _part_state(reviews.get(key))}
        for key, name, label in sections_of(subject)
        if key not in OWNERS_ONLY
    ]


def _part_state(review: SectionReview | None) -> str:
    if review is None:
        return _("rien d'enregistré")
    return _("à vérifier par la personne") if review.to_review() else ""


@login_not_required
@require_GET
def help_page(request: HttpRequest) -> HttpResponse:
    return render(request, "medisetup/help.html")


# The demonstration's letter box: mails are files in a folder; these two pages exist with DEMO only.
def _mails() -> list[tuple[str, Any]]:
    files = sorted(
        Path(settings.OUTBOX_DIR).glob("*.log"), key=lambda file: file.stat().st_mtime, reverse=True
    )
    found = []
    for file in files:
        parts = file.read_bytes().split(b"\n" + b"-" * 79 + b"\n")
        found += [
            (f"{file.stem}.{number}", message_from_bytes(part.strip(b"\n"), policy=policy.default))
            for number, part in reversed(list(enumerate(parts)))
            if part.strip()
        ]
    return found


@login_not_required
@require_GET
def outbox(request: HttpRequest) -> HttpResponse:
    mails = [
        {
            "name": name,
            "subject": mail["Subject"],
            "to": mail["To"],
            "date": mail["Date"].datetime.replace(tzinfo=UTC),
        }
        for name, mail in _mails()
    ]
    return render(request, "medisetup/outbox.html", {"mails": mails})


@login_not_required
@require_GET
def outbox_mail(request: HttpRequest, name: str) -> HttpResponse:
    mail = dict(_mails()).get(name)
    if mail is None:
        raise Http404
    body = mail.get_body(preferencelist=("plain",))
    context = {
        "subject": mail["Subject"],
        "to": mail["To"],
        "text": body.get_content() if body else "",
        "html_url": reverse("outbox_html", args=[name]) if mail.get_body(preferencelist=("html",)) else "",
    }
    return render(request, "medisetup/outbox_mail.html", context)


@login_not_required
@require_GET
def outbox_html(request: HttpRequest, name: str) -> HttpResponse:
    """The HTML half of a mail, alone, under the same policy as every page."""
    mail = dict(_mails()).get(name)
    body = mail.get_body(preferencelist=("html",)) if mail else None
    if body is None:
        raise Http404
    return HttpResponse(body.get_content())


@login_not_required
def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return render(request, "errors/400.html", status=400)


@login_not_required
def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return render(request, "errors/403.html", status=403)


@login_not_required
def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return render(request, "errors/403_csrf.html", status=403)


@login_not_required
def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return render(request, "errors/404.html", status=404)


@login_not_required
def server_error(request: HttpRequest) -> HttpResponse:
    """Called while the error is being handled, wherever it was raised, in a middleware too."""
    if unavailable.database_is_lost(sys.exception()):
        return unavailable.page(request)
    return render(request, "errors/500.html", status=500)
