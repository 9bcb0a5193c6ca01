"""« Changer le compte bancaire de vos DMG »: the change in two steps, a letter and a task per mutuality.

Managers see where it stands, with masked numbers; letters, dates and the change itself are the owner's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import kept
from accounts.access import Forbidden, subject_or_404
from accounts.identifiers import format_nihii
from accounts.models import User
from accounts.signed_request import SignedRequest
from accounts.signin import ask_second_proof, proved_recently, second_proof_from
from billing import bank
from billing.models import FinancialSettings
from ehealth.account_change_forms import DayForm, NewAccountForm
from ehealth.actions import account_change as change_actions
from ehealth.actions.account_change import ChangeRefused
from ehealth.forms import known_bank
from ehealth.models import AccountChange, AccountChangeTask, Mutuality
from practitioners.models import Address, Practitioner
from practitioners.reference import PHYSICIAN

REFUSED: dict[str, Promise] = {
    "not_registered": gettext_lazy(
        "Vous n'êtes inscrit à l'eDMG auprès d'aucune mutualité : "
        "indiquez le compte en demandant l'inscription."
    ),
    "under_way": gettext_lazy(
        "Des inscriptions à l'eDMG sont encore en cours. Attendez leur réponse, puis changez de compte."
    ),
    "same_account": gettext_lazy("Toutes les mutualités paient déjà sur ce compte : rien n'est à changer."),
    "no_change": gettext_lazy("Il n'y a pas de changement de compte en cours pour cette mutualité."),
    "letters_sent": gettext_lazy(
        "Une lettre est déjà partie. Indiquez plutôt le compte à retenir comme nouveau compte."
    ),
    "not_sent": gettext_lazy("Notez d'abord le jour où la lettre est partie."),
    "confirmed": gettext_lazy("Cette mutualité a déjà confirmé ; rien n'a été changé."),
    "before_sent": gettext_lazy("La confirmation ne peut pas précéder l'envoi. Vérifiez les deux dates."),
}


def physician_or_404(request: SignedRequest, uuid: UUID) -> Practitioner:
    """The doctor; the page does not exist for others."""
    subject = subject_or_404(request.user, uuid)
    row = Practitioner.objects.filter(user=subject, profession=PHYSICIAN).select_related("user__practice")
    practitioner = row.first()
    if practitioner is None:
        raise Http404
    return practitioner


def own_or_403(request: SignedRequest, uuid: UUID) -> Practitioner:
    practitioner = physician_or_404(request, uuid)
    if practitioner.user_id != request.user.pk:
        raise Forbidden("account_change")
    return practitioner


# --- the page ---------------------------------------------------------------------------------
@require_http_methods(["GET", "POST"])
def account_change(request: SignedRequest, uuid: UUID) -> HttpResponse:
    """Where each mutuality pays now, what is to be told, and the form of a new account."""
    subject = physician_or_404(request, uuid).user
    if request.method == "POST":
        return _post(request, subject)
    typed = kept.give_back(request, owner=request.user.uuid)
    return _page(request, subject, NewAccountForm(typed) if typed else _empty_form(subject))


def _empty_form(subject: User) -> NewAccountForm:
    """With the account of the financial settings, when the mutualities pay on another one."""
    own = FinancialSettings.objects.filter(practitioner__user=subject).first()
    told = change_actions.accounts_in_force(subject).values()
    if own is None or not own.iban or own.iban in told:
        return NewAccountForm()
    return NewAccountForm(initial={"iban": own.iban, "bic": own.bic})


def _post(request: SignedRequest, subject: User) -> HttpResponse:
    """First post: the page that shows what will change. With `confirm`: the change itself."""
    if subject.pk != request.user.pk:
        raise Forbidden("account_change")
    form = NewAccountForm(request.POST)
    if "change" in request.POST or not form.is_valid():
        return _page(request, subject, form, status=200 if "change" in request.POST else 422)
    if not proved_recently(request):
        return ask_second_proof(request)
    if "confirm" not in request.POST:
        return _check(request, subject, form)
    try:
        change_actions.begin(user=subject, by=request.user, account=form.account, now=timezone.now())
    except ChangeRefused as refused:
        form.add_error("iban", str(REFUSED[refused.key]))
        return _page(request, subject, form, status=422)
    messages.success(request, _("Le changement est préparé : imprimez et envoyez chaque lettre."))
    return redirect("ehealth:account_change", uuid=subject.uuid)


def _check(request: SignedRequest, subject: User, form: NewAccountForm) -> HttpResponse:
    accounts = change_actions.accounts_in_force(subject)
    rows = [
        {"key": str(Mutuality(code).label), "value": _shown(iban, is_owner=True)}
        for code, iban in accounts.items()
        if iban != form.account.iban
    ]
    context = {
        "subject": subject,
        "rows": rows,
        "new": [{"key": _("Nouveau compte"), "value": spelled(form.account.iban, form.account.bic)}],
        "sent_again": [(field.html_name, field.value() or "") for field in form],
        "foreign": not bank.is_belgian(form.account.iban),
    }
    return render(request, "ehealth/account_change_check.html", context)


def spelled(iban: str, bic: str) -> str:
    return f"{bank.format_iban(iban)} · {bic}"


def _page(
    request: SignedRequest,
    subject: User,
    form: NewAccountForm,
    *,
    status: int = 200,
    bound: DayForm | None = None,
) -> HttpResponse:
    is_owner = subject.pk == request.user.pk
    change = change_actions.open_change(subject)
    obstacle = change_actions.obstacle(subject)
    invoiced = FinancialSettings.objects.filter(practitioner__user=subject).exclude(bce="").exists()
    context = {
        "subject": subject,
        "is_owner": is_owner,
        "new_form": form,
        "form": bound or form,
        "bank": known_bank(form["iban"].value()) if is_owner else {"bic": "", "name": ""},
        "change": change,
        "new_account": _shown(change.iban, is_owner=is_owner) if change else "",
        "lines": _lines(change, is_owner=is_owner, bound=bound) if change else [],
        "in_force": _in_force(subject, is_owner=is_owner),
        "obstacle": REFUSED.get(obstacle, ""),
        "may_begin": is_owner and not obstacle,
        "may_give_up": bool(change) and is_owner and not _letters_sent(change),
        "invoiced_under_bce": invoiced,
    }
    return render(request, "ehealth/account_change.html", context, status=status)


def _letters_sent(change: AccountChange | None) -> bool:
    return change is not None and change.tasks.filter(sent_on__isnull=False).exists()


def _shown(iban: str, *, is_owner: bool) -> str:
    if not iban:
        return _("Compte inconnu du portail")
    return bank.format_iban(iban) if is_owner else bank.mask_iban(iban)


def _in_force(subject: User, *, is_owner: bool) -> list[dict[str, str]]:
    accounts = change_actions.accounts_in_force(subject)
    return [
        {"key": str(Mutuality(code).label), "value": _shown(iban, is_owner=is_owner)}
        for code, iban in accounts.items()
    ]


def _lines(change: AccountChange, *, is_owner: bool, bound: DayForm | None) -> list[dict[str, Any]]:
    """One per mutuality: state, both accounts, the form of the next step for the owner."""
    return [
        {
            "task": task,
            "label": Mutuality(task.mutuality).label,
            "old": _shown(task.old_iban, is_owner=is_owner),
            "form": _next_form(task, bound) if is_owner and not task.confirmed_on else None,
        }
        | _state(task)
        for task in change.tasks.order_by("mutuality")
    ]


def _state(task: AccountChangeTask) -> dict[str, str]:
    if task.confirmed_on:
        return {"kind": "done", "word": _("Confirmée")}
    if task.sent_on:
        return {"kind": "waiting", "word": _("Envoyée")}
    return {"kind": "todo", "word": _("À envoyer")}


def _next_form(task: AccountChangeTask, bound: DayForm | None) -> DayForm:
    if bound is not None and bound.auto_id == f"%s_{task.mutuality}":
        return bound
    return _day_form(task.mutuality, confirming=bool(task.sent_on))


def _day_form(code: str, *, confirming: bool, data: Any = None) -> DayForm:
    label = _("Confirmée par la mutualité le") if confirming else _("Lettre envoyée le")
    return DayForm(data, code=code, label=label, today=timezone.localdate())


# --- the steps --------------------------------------------------------------------------------
@require_POST
def sent(request: SignedRequest, uuid: UUID, code: str) -> HttpResponse:
    """The owner has sent the letter."""
    return _step(request, uuid, code, change_actions.mark_sent, confirming=False)


@require_POST
def confirmed(request: SignedRequest, uuid: UUID, code: str) -> HttpResponse:
    """The mutuality has answered that it pays on the new account."""
    return _step(request, uuid, code, change_actions.mark_confirmed, confirming=True)


def _step(
    request: SignedRequest, uuid: UUID, code: str, action: Callable[..., Any], *, confirming: bool
) -> HttpResponse:
    subject = own_or_403(request, uuid).user
    form = _day_form(code, confirming=confirming, data=request.POST)
    if form.is_valid():
        try:
            last = action(
                user=subject,
                by=request.user,
                mutuality=code,
                day=form.cleaned_data["day"],
                now=timezone.now(),
            )
        except ChangeRefused as refused:
            if refused.key == "no_change":
                raise Http404 from refused
            form.add_error("day", str(REFUSED[refused.key]))
    if form.errors:
        return _page(request, subject, _empty_form(subject), status=422, bound=form)
    messages.success(
        request,
        _("Toutes les mutualités ont confirmé : elles paient sur le nouveau compte.")
        if confirming and last
        else _("C'est noté."),
    )
    return redirect("ehealth:account_change", uuid=subject.uuid)


@require_POST
@second_proof_from("ehealth:account_change")
def give_up(request: SignedRequest, uuid: UUID) -> HttpResponse:
    """Nothing was sent yet: the change is put away."""
    subject = own_or_403(request, uuid).user
    try:
        change_actions.give_up(user=subject, by=request.user, now=timezone.now())
    except ChangeRefused as refused:
        messages.warning(request, str(REFUSED[refused.key]))
    else:
        messages.success(request, _("Le changement est abandonné ; les comptes restent ce qu'ils étaient."))
    return redirect("ehealth:account_change", uuid=subject.uuid)


@require_GET
def letter(request: SignedRequest, uuid: UUID, code: str) -> HttpResponse:
    """The letter to one mutuality, in the doctor's language, for paper. The owner's alone."""
    practitioner = own_or_403(request, uuid)
    tasks = AccountChangeTask.objects.filter(change__user=practitioner.user, change__ended_at=None)
    task = tasks.select_related("change").filter(mutuality=code).first()
    if task is None:
        raise Http404
    work = practitioner.addresses.filter(type=Address.Type.WORK).order_by("pk").first()
    context = {
        "subject": practitioner.user,
        "back_url": reverse("ehealth:account_change", args=[uuid]),
        "mutuality": Mutuality(code).label,
        "nihii": format_nihii(practitioner.nihii) if practitioner.nihii else "",
        "work": work,
        "old": task.old_iban[-3:],
        "new": bank.format_iban(task.change.iban),
        "bic": task.change.bic,
        "today": timezone.localdate(),
    }
    return render(request, "ehealth/account_change_letter.html", context)
