"""Form fields over bank accounts: French sentences for the machine codes."""

from django.utils.translation import gettext_lazy as _

from accounts.fields import JudgedField
from billing import bank

_MESSAGES = {
    "required": _("Indiquez le compte bancaire (IBAN), par exemple BE67 0010 0000 1187."),
    "structure": _(
        "Ceci n'est pas un IBAN : il commence par deux lettres (BE pour la Belgique), puis des chiffres. "
        "Recopiez-le depuis votre carte bancaire ou un extrait de compte."
    ),
    "country": _(
        "Les deux premières lettres de l'IBAN ne désignent aucun pays. Un compte belge commence par BE."
    ),
    "length": _(
        "Cet IBAN n'a pas le nombre de caractères de son pays ; un IBAN belge en compte 16. Comptez-les."
    ),
    "iban_checksum": _(
        "Les chiffres de contrôle de l'IBAN (le 3e et le 4e caractère) ne correspondent pas aux suivants. "
        "Vérifiez chaque chiffre."
    ),
    "bban_checksum": _(
        "Les chiffres de contrôle nationaux de l'IBAN (les deux derniers) ne correspondent pas "
        "au numéro de compte. Vérifiez chaque chiffre."
    ),
    "not_sepa": _("Ce compte est hors de la zone SEPA. Indiquez un compte d'un pays de la zone SEPA."),
    "bic_required": _("BIC introuvable, complétez-le : il figure sur vos extraits de compte."),
    "bic_structure": _(
        "Un BIC compte 8 ou 11 caractères, par exemple GEBABEBB. Vérifiez-le sur un extrait de compte."
    ),
    "bic_country": _(
        "Le pays du BIC (le 5e et le 6e caractère) n'est pas celui de l'IBAN. Vérifiez les deux."
    ),
}


def bank_message(code: str) -> str:
    """Sentence for a code of ``bank.account``."""
    return str(_MESSAGES[code])


class _BankField(JudgedField):
    attributes = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "characters"}

    def message(self, code: str) -> str:
        return bank_message(code)


class IbanField(_BankField):
    """Bank account: the compact IBAN."""

    personal = True

    def judge(self, text: str) -> str:
        return bank.iban(text)

    def display(self, canonical: str) -> str:
        return bank.format_iban(canonical)


class BicField(_BankField):
    """A BIC typed by hand, compact. Never refused here: it counts only where none can be derived, and
    then ``bank.account`` judges it together with the IBAN.
    """

    def judge(self, text: str) -> str:
        return bank.compact_bic(text)
