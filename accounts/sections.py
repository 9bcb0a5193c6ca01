"""The one base of all tabs: a section is one form, one view, one URL, one button, one transaction.

A section subclasses `SectionForm` (fields, `initial_for`) and `SectionView[ItsForm]` (names, template,
action). A page over a row of the practice subclasses `VersionedForm` and `VersionedView[ItsForm]`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Generic, TypeVar

from django import forms
from django.contrib import messages
from django.forms import BoundField
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.datastructures import MultiValueDict
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.views import View

from accounts import kept
from accounts.access import Forbidden, subject_or_404
from accounts.actions.sections import Stale
from accounts.fields import JudgedField
from accounts.forms.declared import choices_of, hide_optional, warn
from accounts.models import SectionReview, User
from accounts.signed_request import SignedRequest, is_signed
from accounts.signin import ask_second_proof, proved_recently


def in_words(field: forms.Field, value: Any) -> str:
    """A value of this field as its page shows it: the labels of choices, never what machines call them."""
    if isinstance(field, forms.BooleanField):
        return _("oui") if value else _("non")
    shown = field.prepare_value(value)
    shown = list(shown) if isinstance(shown, (list, tuple)) else [shown]
    texts = ["" if item is None else str(item) for item in shown]
    if isinstance(field, forms.ChoiceField):
        labels = {str(key): str(label) for key, label in choices_of(field)}
        texts = [labels.get(text, _("N'est plus proposé")) for text in texts if text]
    return ", ".join(texts)


class PrefillableForm(forms.Form):
    """Part of a section: its owner must fill in what is mandatory; somebody else, who pre-fills it, may leave
    empty what is empty so far (rules 4.5). Whatever is typed is checked alike, and nobody empties what is
    mandatory and filled.
    """

    # Whether somebody else than the owner is at it.
    prefilling = False

    def may_stay_empty(self, name: str) -> bool:
        return self.prefilling and not self.initial.get(name)

    def demand(self, name: str, message: str | Promise) -> None:
        """For `clean`: put `message` at a field of this page that holds nothing and may not stay so."""
        missing = name in self.fields and name not in self.errors and not self.cleaned_data.get(name)
        if missing and not self.may_stay_empty(name):
            self.add_error(name, str(message))


class VersionedForm(forms.Form):
    """Validates and nothing else. `version` makes a stale save visible instead of overwriting."""

    version = forms.IntegerField(widget=forms.HiddenInput, min_value=0)

    def values(self) -> dict[str, Any]:
        """The cleaned values for the action: all fields but the version."""
        return {name: value for name, value in self.cleaned_data.items() if name != "version"}

    @classmethod
    def secret_fields(cls) -> frozenset[str]:
        """Fields whose value is never kept for later: passwords and files."""
        widgets = {name: field.widget for name, field in cls.base_fields.items()}
        secret = (forms.PasswordInput, forms.FileInput)
        return frozenset(name for name, widget in widgets.items() if isinstance(widget, secret))

    def repeats_what_is_stored(self) -> bool:
        """A second click on the same button, or somebody else saved the very same."""
        return not [name for name in self.changed_data if name != "version"]

    def comparison(self) -> list[dict[str, Any]]:
        """For the page of a conflict: label, what was typed, what is stored now, both in words."""
        return [
            {
                "label": self[name].label,
                "typed": in_words(self.fields[name], self[name].data),
                "stored": in_words(self.fields[name], self[name].initial),
            }
            for name in self.changed_data
            if name != "version" and not isinstance(self.fields[name].widget, forms.PasswordInput)
        ]


class SectionForm(PrefillableForm, VersionedForm):
    """What one section of somebody holds, as the actor may see it."""

    section: ClassVar[str]
    # Asked of everybody: without them there is nothing to pre-fill.
    ALWAYS: ClassVar[frozenset[str]] = frozenset({"version"})

    def __init__(self, *args: Any, subject: User, actor: User, **kwargs: Any) -> None:
        self.subject, self.actor = subject, actor
        # Before the values: a save in between then makes this version old.
        self.review = SectionReview.objects.filter(user=subject, section=self.section).first()
        version = self.review.version if self.review else 0
        kwargs["initial"] = {"version": version} | self.initial_for(subject)
        super().__init__(*args, **kwargs)
        if subject.pk != actor.pk:
            self.prefilling = True
            self._mask_what_is_personal()
            self._leave_the_rest_to_the_owner()

    def _leave_the_rest_to_the_owner(self) -> None:
        for name, field in self.fields.items():
            if field.required and name not in self.ALWAYS and self.may_stay_empty(name):
                field.required = False
                hide_optional(self, name)

    def _mask_what_is_personal(self) -> None:
        """Somebody else sees the end of a national number or an account only (rules 4.1)."""
        for name, field in self.fields.items():
            if isinstance(field, JudgedField) and field.personal:
                field.hide(self.initial.get(name) or "")

    def initial_for(self, subject: User) -> dict[str, Any]:
        """What is stored now, in the shape of the fields."""
        raise AssertionError(f"{type(self).__name__} defines no initial_for")

    def warnings(self) -> list[tuple[BoundField, str]]:
        """(field, sentence) for what is stored and deserves a second look; none of them stops a save."""
        return []

    def point_out(self) -> None:
        """Draw each warning at its field, but not where something else was typed meanwhile."""
        for bound, sentence in self.warnings():
            if not (bound.form.is_bound and bound.name in bound.form.changed_data):
                warn(bound, sentence)


VersionedT = TypeVar("VersionedT", bound=VersionedForm)
FormT = TypeVar("FormT", bound=SectionForm)


class VersionedView(View, Generic[VersionedT]):
    """GET shows the form; POST validates, calls the action, goes on. 409 when it changed meanwhile."""

    request: SignedRequest
    template_name: ClassVar[str]
    title: ClassVar[str | Promise]
    button: ClassVar[str | Promise]

    def form(self, data: Any = None, files: Any = None) -> VersionedT:
        """The form over what is stored now."""
        raise AssertionError(f"{type(self).__name__} defines no form")

    def get(self, request: SignedRequest, *_args: Any, **_places: Any) -> HttpResponse:
        typed = kept.give_back(request, owner=request.user.uuid)
        return self.restored(typed) if typed else self.page(self.form())

    def restored(self, typed: QueryDict) -> HttpResponse:
        """The form as it was when the session ended or a password was asked for."""
        return self.page(
            self.form(typed, MultiValueDict()),
            restored=True,
            restored_title=_("Votre saisie a été gardée"),
            restored_text=_(
                "Vérifiez-la et envoyez-la de nouveau. Mots de passe et fichiers sont à redonner."
            ),
        )

    def needs_second_proof(self, form: VersionedT) -> bool:
        """Whether this save asks for a password given in the last ten minutes (security SR-14)."""
        return False

    def post(self, request: SignedRequest, *_args: Any, **_places: Any) -> HttpResponse:
        form = self.form(request.POST, request.FILES)
        if not form.is_valid():
            return self.page(form, status=422)
        if self.needs_second_proof(form) and not proved_recently(request):
            return ask_second_proof(request, secret=form.secret_fields())
        try:
            self.save(form)
        except Stale as stale:
            return self.conflict(form, stale.version)
        return (form.errors and self.page(form, status=422)) or self.done()

    def save(self, form: VersionedT) -> None:
        """Call the action. What it refuses for a field goes to `form.add_error`."""
        raise AssertionError(f"{type(self).__name__} saves nothing")

    def done(self) -> HttpResponse:
        messages.success(self.request, _("« %(section)s » est enregistré.") % {"section": self.title})
        return redirect(self.done_url())

    def done_url(self) -> str:
        raise AssertionError(f"{type(self).__name__} leads nowhere")

    def conflict(self, form: VersionedT, version: int) -> HttpResponse:
        fresh = self.form(self.request.POST, self.request.FILES)
        if fresh.repeats_what_is_stored():
            return self.done()
        posted = self.request.POST.copy()
        posted["version"] = str(version)
        fresh.data = posted
        fresh.is_valid()
        return self.page(fresh, status=409, conflict=True, comparison=fresh.comparison())

    def page(self, form: VersionedT, *, status: int = 200, **extra: Any) -> HttpResponse:
        context = self.common(form) | self.context(form)
        return render(self.request, self.template_name, context | extra, status=status)

    def common(self, form: VersionedT) -> dict[str, Any]:
        """What every page of this kind needs."""
        return {"form": form, "title": self.title, "button": self.button}

    def context(self, form: VersionedT) -> dict[str, Any]:
        """What the own template needs beyond the common part."""
        return {}


class SectionView(VersionedView[FormT], Generic[FormT]):
    """A section of somebody; a save goes back to the checklist.

    404 when the subject is not visible, 403 without the right, 409 when the section changed meanwhile.
    """

    form_class: type[FormT]
    template_name: ClassVar[str] = "sections/section.html"
    # Only the owner may post; others see the state and no form (rules 4.6).
    owner_only: ClassVar[bool] = False
    action: ClassVar[Callable[..., Any]]
    subject: User

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        if is_signed(request):
            self.subject = subject_or_404(request.user, kwargs["uuid"])

    @property
    def is_owner(self) -> bool:
        return self.subject.pk == self.request.user.pk

    def form(self, data: Any = None, files: Any = None) -> FormT:
        return self.form_class(data, files, subject=self.subject, actor=self.request.user)

    def post(self, request: SignedRequest, *_args: Any, **_places: Any) -> HttpResponse:
        if self.owner_only and not self.is_owner:
            raise Forbidden(self.form_class.section)
        return super().post(request)

    def save(self, form: FormT) -> None:
        """Call the section's action. What it refuses for a field goes to `form.add_error`."""
        type(self).action(
            user=self.subject,
            by=self.request.user,
            version=form.cleaned_data["version"],
            now=timezone.now(),
            **form.values(),
        )

    def done(self) -> HttpResponse:
        answer = super().done()
        for bound, sentence in self.form().warnings():
            named = _("%(field)s : %(sentence)s") % {"field": bound.label, "sentence": sentence}
            messages.warning(self.request, named)
        return answer

    def done_url(self) -> str:
        return reverse("home") if self.is_owner else reverse("person", args=[self.subject.uuid])

    def common(self, form: FormT) -> dict[str, Any]:
        review = form.review
        form.point_out()
        return super().common(form) | {
            "subject": self.subject,
            "is_owner": self.is_owner,
            "section": form.section,
            "review": review if review and review.to_review() else None,
            "may_edit": self.is_owner or not self.owner_only,
        }
