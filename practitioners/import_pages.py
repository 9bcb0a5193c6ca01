"""« Importer plusieurs personnes »: the file, its report, the preview, the progress."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_GET, require_http_methods

from accounts import throttle
from accounts.access import Capability, assignable_roles, require
from accounts.actions import people
from accounts.models import Role
from accounts.signed_request import SignedRequest
from accounts.signin import ask_second_proof, proved_recently
from practitioners import import_check, imports
from practitioners.models import PeopleImport
from practitioners.reference import HOUSE, profession_choices, professions
from practitioners.spreadsheets import Template, Unreadable, read, template_csv

FILES, FILES_SECONDS = 20, 3600
REFRESH_SECONDS = 2
NO_FILE = gettext_lazy("Choisissez un fichier CSV ou XLSX de 2 Mio au plus.")
UNREADABLE: dict[str, str | Promise] = {
    "empty": gettext_lazy("Ce fichier est vide. Remplissez le modèle, enregistrez-le, puis choisissez-le."),
    "too_large": NO_FILE,
    "old_excel": gettext_lazy(
        "Ce fichier est protégé par un mot de passe ou d'un ancien format (.xls). "
        "Enregistrez-le en XLSX ou en CSV, sans mot de passe."
    ),
    "encoding": gettext_lazy(
        "Les lettres de ce fichier ne se lisent pas. Enregistrez-le en XLSX ou en « CSV UTF-8 »."
    ),
    "quotes": gettext_lazy(
        "Des guillemets de ce fichier CSV ne se ferment pas. Enregistrez-le de nouveau avec votre tableur."
    ),
    "broken": gettext_lazy(
        "Ce fichier est abîmé. Ouvrez-le dans votre tableur et enregistrez-le de nouveau."
    ),
    "macros": gettext_lazy("Ce fichier contient des macros. Enregistrez-le en XLSX simple, sans macros."),
    "unpacked": gettext_lazy(
        "Ce fichier est trop grand une fois ouvert. Copiez les personnes dans un fichier neuf, sans images."
    ),
    "sheets": gettext_lazy("Plusieurs feuilles de ce fichier sont remplies. Gardez celle des personnes."),
    "too_many_rows": gettext_lazy("Ce fichier a plus de 500 personnes. Partagez-le en plusieurs fichiers."),
    "too_many_columns": gettext_lazy("Ce fichier a plus de 40 colonnes. Reprenez celles du modèle."),
}
REFUSALS: Mapping[str, str | Promise] = {
    "Forbidden": gettext_lazy("Vous n'avez plus le droit de créer des comptes. Voyez un administrateur."),
    "NihiiTaken": import_check.NIHII_TAKEN,
    "IdentityFixed": gettext_lazy("Ce numéro INAMI ne peut pas être changé. Vérifiez-le."),
    "interrupted": gettext_lazy("L'import a été interrompu cinq fois. Réessayez avec moins de personnes."),
} | {
    kind.__name__: kind.message
    for kind in (
        people.InvalidLogin, people.LoginTaken, people.InvalidEmail, people.EmailTaken, people.NoRole,
        people.RoleNotAssignable,
    )
}  # fmt: skip
TEMPLATES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


class FileForm(forms.Form):
    file = forms.FileField(
        label=gettext_lazy("Fichier des personnes"),
        help_text=gettext_lazy("CSV ou XLSX, une ligne par personne, 500 au plus."),
        allow_empty_file=True,
        widget=forms.FileInput(attrs={"accept": ".csv,.xlsx"}),
        error_messages={"required": NO_FILE, "invalid": NO_FILE},
    )


@require_http_methods(["GET", "POST"])
def import_people(request: SignedRequest) -> HttpResponse:
    """Take a file; a right one leads to its preview, any other to its report. Nobody is created here."""
    require(request.user, Capability.CREATE_USER)
    if request.method == "GET":
        return _form_page(request, FileForm())
    form = FileForm(request.POST, request.FILES)
    if not form.is_valid():
        return _form_page(request, form, status=422)
    if not throttle.allow("people_import", request.user.pk, FILES, FILES_SECONDS, by=request.user):
        return throttle.too_many(request, seconds=FILES_SECONDS)
    return _judge(request, form)


def _judge(request: SignedRequest, form: FileForm) -> HttpResponse:
    data: bytes = form.cleaned_data["file"].read()
    digest = hashlib.sha256(data).hexdigest()
    try:
        if before := imports.earlier(request.user.practice, digest):
            raise imports.AlreadyImported(before)
        checked = import_check.check(read(data), request.user)
        if checked.problems:
            return _form_page(request, form, status=422, problems=checked.problems)
        row = imports.propose(by=request.user, digest=digest, people=checked.people, now=timezone.now())
    except Unreadable as unreadable:
        form.add_error("file", str(UNREADABLE[unreadable.code]))
        return _form_page(request, form, status=422)
    except imports.AlreadyImported as known:
        return _known(request, known.earlier)
    return redirect("practitioners:import_batch", batch=row.uuid)


def _known(request: SignedRequest, earlier: PeopleImport) -> HttpResponse:
    """To the import that had this file: nothing is doubled."""
    messages.warning(request, _("Ce fichier est déjà importé : rien n'a été créé une seconde fois."))
    return redirect("practitioners:import_batch", batch=earlier.uuid)


def _form_page(request: SignedRequest, form: FileForm, *, status: int = 200, **extra: Any) -> HttpResponse:
    context = {"form": form, "columns": _columns(request)}
    return render(request, "practitioners/import.html", context | extra, status=status)


def _columns(request: SignedRequest) -> list[dict[str, Any]]:
    """What the file holds: headings, whether they are needed, the words that may stand there."""
    allowed = assignable_roles(request.user)
    flat_rate = request.user.practice.type == "flat_rate_house"
    words = {
        "roles": [label for key, label in Role.choices if key in allowed],
        "profession": [label for key, label in profession_choices() if key != HOUSE or flat_rate],
        "language": [code for code, _label in settings.LANGUAGES],
    }
    return [
        {
            "label": import_check.label(column),
            "required": column in import_check.REQUIRED,
            "words": words.get(column, []),
        }
        for column in import_check.COLUMNS
    ]


@require_GET
def import_template(request: SignedRequest, kind: str) -> HttpResponse:
    """The file to fill in, with headings in the reader's language."""
    require(request.user, Capability.CREATE_USER)
    if kind not in TEMPLATES:
        raise Http404
    headings = [import_check.label(column) for column in import_check.COLUMNS]
    content = template_csv(headings) if kind == "csv" else Template(headings).content()
    response = HttpResponse(content, content_type=TEMPLATES[kind])
    response.headers["Content-Disposition"] = f'attachment; filename="medisetup.{kind}"'
    return response


# --- one import ------------------------------------------------------------------------------
@require_http_methods(["GET", "POST"])
def import_batch(request: SignedRequest, batch: UUID) -> HttpResponse:
    """The preview with « Importer »; then the progress; then who was created.

    Creating gives roles: the password is asked again after ten minutes (security SR-14).
    """
    row = _visible(request, batch)
    if request.method == "GET":
        return render(request, "practitioners/import_batch.html", _batch_context(row))
    if not proved_recently(request):
        return ask_second_proof(request)
    try:
        imports.confirm(row=row, by=request.user, now=timezone.now())
    except imports.AlreadyImported as known:
        return _known(request, known.earlier)
    return redirect("practitioners:import_batch", batch=row.uuid)


@require_GET
def import_state(request: SignedRequest, batch: UUID) -> HttpResponse:
    """The part of the page that keeps itself current."""
    row = _visible(request, batch)
    return render(request, "practitioners/import_fragment.html", _batch_context(row))


def _visible(request: SignedRequest, batch: UUID) -> PeopleImport:
    """An import of the own practice; a preview is its maker's alone. Another's is like a missing one."""
    require(request.user, Capability.CREATE_USER)
    rows = PeopleImport.objects.filter(practice=request.user.practice).select_related("by", "practice")
    row: PeopleImport | None = rows.filter(uuid=batch).first()
    if row is None or (row.state == PeopleImport.State.CHECKED and row.by_id != request.user.pk):
        raise Http404
    return row


def _batch_context(row: PeopleImport) -> dict[str, Any]:
    under_way = row.state in PeopleImport.UNDER_WAY
    return {
        "row": row,
        "to_confirm": row.state == PeopleImport.State.CHECKED,
        "proposed": _proposed(row) if row.state == PeopleImport.State.CHECKED else [],
        "state": _state(row),
        "state_url": reverse("practitioners:import_state", args=[row.uuid]) if under_way else "",
        "state_page": reverse("practitioners:import_batch", args=[row.uuid]),
        "seconds": REFRESH_SECONDS,
    }


def _proposed(row: PeopleImport) -> list[dict[str, Any]]:
    """Who will be created, in the reader's words."""
    roles = dict(Role.choices)
    return [
        one.values
        | {
            "line": one.line,
            "profession": professions()[one.values["profession"]].label,
            "roles": ", ".join(str(roles[role]) for role in one.values["roles"]),
        }
        for one in imports.people_of(row)
    ]


def _state(row: PeopleImport) -> dict[str, Any]:
    created = list(row.people.order_by("last_name", "first_name", "pk"))
    invited = row.people.filter(invitations__isnull=False).distinct().count()
    words = ngettext("%(count)s personne", "%(count)s personnes", row.count) % {"count": row.count}
    return {
        "row": row,
        "words": words,
        "created": created,
        "invited": invited,
        "failed": row.state == PeopleImport.State.FAILED,
        "done": row.state == PeopleImport.State.DONE,
        "queued": row.state == PeopleImport.State.QUEUED,
        "reason": REFUSALS.get(row.refusal, ""),
    }
