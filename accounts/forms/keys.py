"""What the key pages post. Scripts fill most of it: a wrong shape is a broken client, not a typing error."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.actions.key_challenges import Proof
from accounts.actions.key_resets import SHORTEST_REASON
from accounts.actions.keys import KeyFile
from accounts.keys import LARGEST_TEXT
from accounts.models import PersonalKey

LONGEST_ID = 43
LONGEST_PROOF = 1024
LONGEST_KEY = LARGEST_TEXT


class ProofForm(forms.Form):
    """One answered challenge; `public_key` names the key that a caller believes to use."""

    challenge = forms.CharField(max_length=LONGEST_ID)
    proof = forms.CharField(max_length=LONGEST_PROOF)
    public_key = forms.CharField(max_length=LONGEST_KEY, required=False)

    def answer(self) -> Proof:
        return Proof(self.cleaned_data["challenge"], self.cleaned_data["proof"])


class SessionProofForm(ProofForm):
    purpose = forms.ChoiceField(choices=[("session", "session"), ("import", "import")])


class PairForm(forms.Form):
    """The public half of a new pair, and how its file is protected."""

    public_key = forms.CharField(max_length=LONGEST_KEY)
    protection = forms.ChoiceField(choices=PersonalKey.Protection.choices)
    file_code = forms.CharField(max_length=64, required=False)

    def pair(self) -> dict[str, Any]:
        """`public_key` and `file`, as the actions take them."""
        data = self.cleaned_data
        return {"public_key": data["public_key"], "file": KeyFile(data["protection"], data["file_code"])}


class RegisterForm(PairForm, ProofForm):
    public_key = forms.CharField(max_length=LONGEST_KEY)
    origin = forms.ChoiceField(choices=PersonalKey.Origin.choices)
    prepared = forms.BooleanField(required=False)


class RotateForm(PairForm):
    challenge_old = forms.CharField(max_length=LONGEST_ID)
    proof_old = forms.CharField(max_length=LONGEST_PROOF)
    challenge_new = forms.CharField(max_length=LONGEST_ID)
    proof_new = forms.CharField(max_length=LONGEST_PROOF)

    def answers(self) -> dict[str, Any]:
        """`old` and `new`, the proofs of both keys, as the action takes them."""
        data = self.cleaned_data
        return {
            "old": Proof(data["challenge_old"], data["proof_old"]),
            "new": Proof(data["challenge_new"], data["proof_new"]),
        }


class RevokeForm(forms.Form):
    """Why a key is given up."""

    reason = forms.ChoiceField(
        label=_("Pourquoi révoquez-vous cette clé ?"),
        choices=[
            ("compromised", _("Quelqu'un d'autre a pu la lire ou s'en servir")),
            ("left", _("Je quitte ce cabinet")),
            ("other", _("Autre raison")),
        ],
        widget=forms.RadioSelect,
    )


class ResetForm(forms.Form):
    """Why an administrator resets somebody's key; the owner reads it."""

    reason = forms.CharField(
        label=_("Raison"),
        help_text=_("Au moins 10 caractères. La personne la lira. Exemple : ordinateur volé le 12 mars."),
        min_length=SHORTEST_REASON,
        max_length=300,
        widget=forms.Textarea(attrs={"rows": 3}),
    )
