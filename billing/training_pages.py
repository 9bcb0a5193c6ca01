"""The guided end of a training: what changes is told first, then done at once."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts import kept
from accounts.access import subject_or_404
from accounts.actions.sections import StaleSection
from accounts.identifiers import format_nihii
from accounts.models import Licence
from accounts.signed_request import SignedRequest
from accounts.signin import second_proof_required
from billing import actions
from billing.models import FinancialSettings
from billing.training_forms import EndOfTrainingForm
from practitioners.actions import IdentityFixed, NihiiTaken
from practitioners.models import Practitioner
from practitioners.reference import PHYSICIAN


@require_http_methods(["GET", "POST"])
@second_proof_required
def end_of_training(request: SignedRequest, uuid: UUID) -> HttpResponse:
    """The owner, or a manager whose work the owner then confirms."""
    subject = subject_or_404(request.user, uuid)
    found = Practitioner.objects.filter(user=subject, profession=PHYSICIAN).select_related("user__practice")
    practitioner = found.first()
    if practitioner is None:
        raise Http404
    today = timezone.localdate()
    if request.method == "GET":
        typed = kept.give_back(request, owner=request.user.uuid)
        if typed:
            messages.info(request, _("Votre saisie a été gardée"))
        return _page(request, practitioner, EndOfTrainingForm(typed, practitioner=practitioner, today=today))
    form = EndOfTrainingForm(request.POST, practitioner=practitioner, today=today)
    if form.is_valid() and _end(request, practitioner, form):
        return redirect("billing:financial", uuid=uuid)
    return _page(request, practitioner, form, status=422 if form.errors else 200)


def _end(request: SignedRequest, practitioner: Practitioner, form: EndOfTrainingForm) -> bool:
    """Whether the training has ended, now or before; else the form says why not."""
    try:
        actions.end_training(user=practitioner.user, by=request.user, now=timezone.now(), **form.values())
    except actions.NotInTraining:
        messages.info(request, _("La formation est déjà terminée : rien n'a été changé."))
        return True
    except (IdentityFixed, NihiiTaken):
        form.add_error("nihii", _("Ce numéro INAMI est celui d'une autre personne. Vérifiez-le."))
    except StaleSection:
        form.add_error(
            None,
            _(
                "Quelqu'un d'autre vient de modifier ces données. "
                "Rechargez la page, relisez-la, puis recommencez : rien n'a été changé."
            ),
        )
    else:
        messages.success(
            request, _("La formation est terminée. Complétez maintenant vos propres données financières.")
            if practitioner.user_id == request.user.pk
            else _("La formation est terminée. La personne doit vérifier et compléter ses données.")
        )  # fmt: skip
        return True
    return False


def _page(
    request: SignedRequest, practitioner: Practitioner, form: EndOfTrainingForm, *, status: int = 200
) -> HttpResponse:
    subject = practitioner.user
    settings = FinancialSettings.objects.filter(practitioner=practitioner).select_related("supervisor__user")
    row = settings.first()
    is_owner = subject.pk == request.user.pk
    context = {
        "subject": subject,
        "is_owner": is_owner,
        "form": form,
        "back_url": reverse("billing:financial", args=[subject.uuid]),
        "in_training": practitioner.training_status == Practitioner.TrainingStatus.TRAINEE,
        "number": format_nihii(practitioner.nihii) if practitioner.nihii else "",
        "supervisor": row.supervisor if row else None,
        "edmg_again": actions.edmg_again(practitioner.nihii),
        "has_licence": Licence.objects.filter(user=subject).exists(),
    }
    return render(request, "billing/end_of_training.html", context, status=status)
