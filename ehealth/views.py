"""« Connexion eHealth », « eDMG », and the page of the eHealthBox. Nothing here calls the platform."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from accounts.access import Forbidden, subject_or_404
from accounts.models import User
from accounts.sections import FormT, SectionView
from accounts.signed_request import SignedRequest, is_signed
from accounts.signin import ask_second_proof, proved_at, proved_recently, second_proof_from
from ehealth import conditions, presenters, words
from ehealth.actions import connection, edmg
from ehealth.forms import EdmgForm, KeystoreForm, ReconnectForm
from ehealth.keystore import KeystoreRefused
from ehealth.models import MailboxMessage
from practitioners.reference import PHYSICIAN

MESSAGES_PER_PAGE = 50
REFRESH_SECONDS = 2
PASSWORD_CODES = ("wrong_password", "too_many_tries")


class PhysicianSection(SectionView[FormT]):
    """Only physicians have a keystore and an eDMG; the page does not exist for others."""

    owner_only = True

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        if is_signed(request):
            practitioner = getattr(self.subject, "practitioner", None)
            if practitioner is None or practitioner.profession != PHYSICIAN:
                raise Http404

    def needs_second_proof(self, form: FormT) -> bool:
        return True


def upload_problem(error: Exception) -> tuple[str, words.Words]:
    """Code and words of a refused upload; other errors are raised again."""
    if isinstance(error, KeystoreRefused):
        return error.code, words.keystore(error.code, error.facts)
    codes = {
        connection.TooManyTries: "too_many_tries",
        connection.NoNationalNumber: "no_national_number",
        connection.NothingToReopen: "nothing_to_reopen",
    }
    code = codes[type(error)]
    return code, words.keystore(code)


UPLOAD_ERRORS = (
    KeystoreRefused,
    connection.TooManyTries,
    connection.NoNationalNumber,
    connection.NothingToReopen,
)


class Connection(PhysicianSection[KeystoreForm]):
    form_class = KeystoreForm
    template_name = "ehealth/connection.html"
    title = gettext_lazy("Connexion eHealth")
    button = gettext_lazy("Se connecter à eHealth")
    action = staticmethod(connection.store)

    def save(self, form: KeystoreForm) -> None:
        try:
            super().save(form)
        except UPLOAD_ERRORS as error:
            code, sentence = upload_problem(error)
            form.add_error("keystore_password" if code in PASSWORD_CODES else "keystore", str(sentence))

    def done(self) -> HttpResponse:
        messages.success(
            self.request, _("Votre trousseau est enregistré. Le test de la connexion est en cours.")
        )
        return redirect("ehealth:connection", uuid=self.subject.uuid)

    def context(self, form: KeystoreForm) -> dict[str, Any]:
        return connection_context(self.subject, owner=self.is_owner) | {
            "reconnect_form": ReconnectForm(),
            "owner_only_title": _("Seul le titulaire peut connecter son trousseau"),
            "owner_only_text": _(
                "Un certificat eHealth est personnel : personne ne peut le donner à sa place."
            ),
        }


def connection_context(subject: User, *, owner: bool) -> dict[str, Any]:
    """For the page and for its fragment alike."""
    state = presenters.connection_state(subject, owner=owner, now=timezone.now())
    url = reverse("ehealth:connection_state", args=[subject.uuid]) if state["testing"] else ""
    return {
        "state": state,
        "down": presenters.platform_down("sts"),
        "state_url": url,
        "state_page": reverse("ehealth:connection", args=[subject.uuid]),
        "seconds": REFRESH_SECONDS,
    }


@require_GET
def connection_state(request: SignedRequest, uuid: UUID) -> HttpResponse:
    """The fragment of the connection page, while a test runs."""
    subject = subject_or_404(request.user, uuid)
    context = connection_context(subject, owner=subject.pk == request.user.pk)
    return render(request, "ehealth/connection_fragment.html", context)


@require_POST
def reconnect(request: SignedRequest, uuid: UUID) -> HttpResponse:
    """The stored file again, with its password."""
    subject = subject_or_404(request.user, uuid)
    if subject.pk != request.user.pk:
        raise Forbidden(KeystoreForm.section)
    form = ReconnectForm(request.POST)
    if form.is_valid():
        try:
            password = form.cleaned_data["keystore_password"]
            connection.reconnect(user=subject, by=request.user, password=password, now=timezone.now())
        except UPLOAD_ERRORS as error:
            form.add_error("keystore_password", str(upload_problem(error)[1]))
    if form.errors:
        return _page_of_reconnect(request, uuid, form)
    messages.success(request, _("Votre trousseau est ouvert. La connexion à eHealth est en cours."))
    return redirect("ehealth:connection", uuid=uuid)


def _page_of_reconnect(request: SignedRequest, uuid: UUID, form: ReconnectForm) -> HttpResponse:
    view = Connection()
    view.setup(request, uuid=uuid)
    return view.page(view.form(), status=422, reconnect_form=form)


@require_POST
def retry_test(request: SignedRequest, uuid: UUID) -> HttpResponse:
    subject = subject_or_404(request.user, uuid)
    connection.retry_test(user=subject, by=request.user, now=timezone.now())
    return redirect("ehealth:connection", uuid=uuid)


@require_POST
@second_proof_from("ehealth:connection")
def disconnect(request: SignedRequest, uuid: UUID) -> HttpResponse:
    subject = subject_or_404(request.user, uuid)
    connection.disconnect(user=subject, by=request.user, now=timezone.now())
    messages.success(
        request, _("Vous êtes déconnecté d'eHealth ; votre trousseau et sa clé sont effacés du portail.")
    )
    return redirect("ehealth:connection", uuid=uuid)


class Edmg(PhysicianSection[EdmgForm]):
    form_class = EdmgForm
    template_name = "ehealth/edmg.html"
    title = gettext_lazy("eDMG")
    button = gettext_lazy("Demande d'inscription")

    def post(self, request: SignedRequest, uuid: UUID) -> HttpResponse:
        """First post: the page that shows what will be sent. With `confirm`: the request itself."""
        if not self.is_owner or "confirm" in request.POST:
            return super().post(request, uuid)
        form = self.form(request.POST)
        if "change" in request.POST:
            return self.page(form)
        if not form.is_valid():
            return self.page(form, status=422)
        if not proved_recently(request):
            return ask_second_proof(request, secret=form.secret_fields())
        return self.check(form)

    def check(self, form: EdmgForm) -> HttpResponse:
        context = {
            "form": form,
            "subject": self.subject,
            "answers": form.answers(),
            "foreign": form.foreign(),
        }
        return render(self.request, "ehealth/edmg_check.html", context | {"button": self.button})

    def save(self, form: EdmgForm) -> None:
        try:
            edmg.request(
                user=self.subject,
                by=self.request.user,
                version=form.cleaned_data["version"],
                proved_at=proved_at(self.request),
                now=timezone.now(),
                **form.values(),
            )
        except edmg.PrerequisitesMissing as error:
            for key in error.keys:
                form.add_error(None, words.PREREQUISITES[key][0])

    def done(self) -> HttpResponse:
        messages.success(self.request, _("Votre demande est enregistrée ; elle part vers chaque mutualité."))
        return redirect("ehealth:edmg", uuid=self.subject.uuid)

    def context(self, form: EdmgForm) -> dict[str, Any]:
        missing = form.missing()
        return edmg_context(self.subject) | {
            "prerequisites": [
                {
                    "label": words.PREREQUISITES[key][0],
                    "url": reverse(words.PREREQUISITES[key][1], args=[self.subject.uuid]),
                }
                for key in missing
            ],
            "conditions": conditions.PARAGRAPHS,
            "consents": presenters.consents(self.subject) if self.is_owner else [],
            "may_edit": self.is_owner and not missing and bool(form.codes),
            "owner_only_title": _("Seul le titulaire peut demander son inscription"),
            "owner_only_text": _(
                "L'inscription engage le médecin : personne ne peut la demander à sa place."
            ),
        }


def edmg_context(subject: User) -> dict[str, Any]:
    """For the page and for its fragment alike."""
    state = presenters.edmg_state(subject)
    return {
        "state": state,
        "down": presenters.platform_down("registration"),
        "state_url": reverse("ehealth:edmg_state", args=[subject.uuid]) if state["moving"] else "",
        "state_page": reverse("ehealth:edmg", args=[subject.uuid]),
        "seconds": REFRESH_SECONDS,
    }


@require_GET
def edmg_state(request: SignedRequest, uuid: UUID) -> HttpResponse:
    """The fragment with the seven lines, while something is under way."""
    return render(request, "ehealth/edmg_fragment.html", edmg_context(subject_or_404(request.user, uuid)))


@require_POST
@second_proof_from("ehealth:edmg")
def retry_edmg(request: SignedRequest, uuid: UUID) -> HttpResponse:
    subject = subject_or_404(request.user, uuid)
    edmg.retry_now(user=subject, by=request.user, now=timezone.now())
    messages.success(request, _("Les inscriptions qui le permettent sont renvoyées maintenant."))
    return redirect("ehealth:edmg", uuid=uuid)


@require_GET
def mailbox(request: SignedRequest) -> HttpResponse:
    """What was fetched from one's own eHealthBox: metadata only."""
    rows = MailboxMessage.objects.filter(mailbox__user=request.user).order_by("-published_on", "-id")
    page = Paginator(rows, MESSAGES_PER_PAGE).get_page(request.GET.get("page"))
    lines = [(message, words.SENDERS.get(message.sender_quality, "")) for message in page]
    state = presenters.mailbox_state(request.user, timezone.now())
    return render(request, "ehealth/mailbox.html", {"page": page, "lines": lines, "state": state})


@require_POST
def switch_mailbox(request: SignedRequest) -> HttpResponse:
    """« Récupération automatique » on or off; the decision is the person's own."""
    auto = request.POST.get("auto") == "on"
    connection.set_auto(user=request.user, by=request.user, auto=auto, now=timezone.now())
    said = (
        _("La récupération automatique est activée.")
        if auto
        else _("La récupération automatique est arrêtée.")
    )
    messages.success(request, said)
    return redirect("ehealth:mailbox")
