"""What each code means to the doctor: the reason, then the next step. One table per source of codes."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _


class Words(NamedTuple):
    """A sentence for the reason and one for what to do."""

    reason: str | Promise
    step: str | Promise

    def __str__(self) -> str:
        return gettext("%(reason)s %(step)s") % {"reason": self.reason, "step": self.step}


ASK_CERTIFICATE = _(
    "Demandez un nouveau certificat avec votre carte d'identité électronique dans le gestionnaire "
    "de certificats eHealth ; comptez jusqu'à 10 jours."
)
CHOOSE_P12 = _(
    "Choisissez le fichier .p12 de votre trousseau, en général dans le dossier « ehealth/keystore » de votre "
    "ordinateur."
)
CALL_SUPPORT = _("Contactez le support en donnant ce code : le problème vient du logiciel ou de son contrat.")
WE_TRY_AGAIN = _("Vous n'avez rien à faire : un nouvel essai est prévu.")

# Codes of ehealth.keystore.KeystoreRefused, and ours about the upload.
KEYSTORE = {
    "empty": Words(_("Le fichier est vide."), CHOOSE_P12),
    "too_large": Words(
        _("Ce fichier est trop grand pour être un trousseau eHealth (256 Ko au plus)."), CHOOSE_P12
    ),
    "pem": Words(
        _("Ce fichier est une clé ou un certificat au format PEM, pas un trousseau eHealth."), CHOOSE_P12
    ),
    "is_certificate": Words(
        _("Ce fichier est un certificat seul : il ne contient pas la clé qui va avec."), CHOOSE_P12
    ),
    "not_pkcs12": Words(_("Ce fichier n'est pas un trousseau eHealth, ou il est abîmé."), CHOOSE_P12),
    "no_mac": Words(_("Ce trousseau n'est pas protégé par un mot de passe."), CHOOSE_P12),
    "too_many_rounds": Words(
        _("Ce trousseau n'a pas été fait par le gestionnaire de certificats eHealth."), CHOOSE_P12
    ),
    "too_many_bags": Words(
        _("Ce trousseau contient trop de clés pour être un trousseau eHealth."), CHOOSE_P12
    ),
    "unsupported": Words(
        _("Ce trousseau est protégé par un procédé que nous ne connaissons pas."),
        _("Enregistrez-le à nouveau avec le gestionnaire de certificats eHealth, puis recommencez."),
    ),
    "busy": Words(_("Plusieurs trousseaux sont en cours d'ouverture."), _("Recommencez dans une minute.")),
    "too_slow": Words(_("Ce trousseau demande trop de temps pour être ouvert."), CHOOSE_P12),
    "wrong_password": Words(
        _("Le mot de passe n'ouvre pas ce trousseau."),
        _(
            "Vérifiez les majuscules et le clavier. Un mot de passe oublié ne peut pas être retrouvé : "
            "il faut "
            "alors demander un nouveau certificat."
        ),
    ),
    "no_private_key": Words(_("Ce trousseau ne contient aucune clé privée."), CHOOSE_P12),
    "incomplete": Words(
        _("Ce trousseau est incomplet : la clé d'authentification ou son certificat manque."), CHOOSE_P12
    ),
    "weak_key": Words(_("La clé de ce trousseau est trop faible."), ASK_CERTIFICATE),
    "expired": Words(_("Le certificat de ce trousseau est expiré depuis le %(not_after)s."), ASK_CERTIFICATE),
    "not_yet_valid": Words(
        _("Le certificat de ce trousseau n'est valable qu'à partir du %(not_before)s."),
        _("Recommencez ce jour-là."),
    ),
    "owner_unclear": Words(_("Ce certificat ne dit pas clairement à qui il est."), ASK_CERTIFICATE),
    "organisation": Words(
        _("Ce certificat est celui d'une organisation, pas le vôtre."),
        _("Choisissez votre trousseau personnel, celui qui porte votre numéro national."),
    ),
    "other_person": Words(
        _("Ce trousseau est celui d'une autre personne : le numéro national n'est pas le vôtre."),
        _(
            "Choisissez votre propre trousseau, ou corrigez votre numéro national dans « Informations "
            "générales »."
        ),
    ),
    "wrong_environment": Words(
        _("Ce trousseau est fait pour un autre environnement de la plate-forme eHealth (test ou réel)."),
        _("Choisissez le trousseau de l'environnement que ce portail utilise."),
    ),
    "untrusted_issuer": Words(
        _("Ce certificat n'a pas été délivré par une autorité reconnue par eHealth."), CHOOSE_P12
    ),
    "wrong_usage": Words(_("Ce certificat ne permet pas de s'authentifier."), CHOOSE_P12),
    "too_many_tries": Words(
        _("Trop d'essais avec un mot de passe qui n'ouvre pas le trousseau."),
        _("Attendez un quart d'heure, puis recommencez."),
    ),
    "no_national_number": Words(
        _(
            "Votre numéro national n'est pas encore enregistré : nous ne pouvons pas vérifier que ce "
            "trousseau est le vôtre."
        ),
        _("Complétez d'abord « Informations générales »."),
    ),
    "nothing_to_reopen": Words(_("Aucun trousseau n'est conservé."), CHOOSE_P12),
}

# Codes of the platform and of the exchange with it, whatever the service.
PLATFORM = {
    "unreachable": Words(_("La plate-forme eHealth est injoignable."), WE_TRY_AGAIN),
    "timed_out": Words(_("La plate-forme eHealth n'a pas répondu à temps."), WE_TRY_AGAIN),
    "not_authentic": Words(
        _("Une réponse est arrivée, mais rien ne prouve qu'elle vient de la plate-forme eHealth."),
        WE_TRY_AGAIN,
    ),
    "clock": Words(
        _("L'horloge du portail et celle de la plate-forme eHealth diffèrent de plus de deux minutes."),
        _("Rien à faire de votre côté : le support règle l'horloge, puis nous réessayons."),
    ),
    "malformed": Words(_("Une réponse illisible est arrivée."), WE_TRY_AGAIN),
    "session_busy": Words(_("La connexion à eHealth est en train d'être renouvelée."), WE_TRY_AGAIN),
    "SOA-00001": Words(_("La plate-forme eHealth signale une erreur passagère."), WE_TRY_AGAIN),
    "SOA-01001": Words(
        _("La plate-forme eHealth ne reconnaît pas votre certificat : il est peut-être révoqué ou remplacé."),
        _("Vérifiez votre trousseau dans « Connexion eHealth » ; au besoin, demandez un nouveau certificat."),
    ),
    "SOA-01002": Words(
        _("La plate-forme eHealth vous reconnaît, mais ne vous autorise pas à utiliser ce service."),
        _("Faites vérifier votre inscription comme médecin auprès de l'INAMI et du SPF Santé publique."),
    ),
    "SOA-02001": Words(_("Le service n'est pas disponible pour le moment."), WE_TRY_AGAIN),
    "SOA-02002": Words(_("Le service est momentanément indisponible."), WE_TRY_AGAIN),
    "SOA-03007": Words(
        _("La plate-forme a refusé le contenu du message."), _("Vérifiez vos données, puis recommencez.")
    ),
    "InvalidRequest": Words(
        _("La plate-forme refuse la demande : le numéro national ne correspond pas au certificat."),
        _("Vérifiez votre numéro national dans « Informations générales »."),
    ),
    "FailedAuthentication": Words(_("La plate-forme refuse ce certificat."), ASK_CERTIFICATE),
    "InvalidSecurityToken": Words(_("La plate-forme refuse ce certificat."), ASK_CERTIFICATE),
    "not_a_physician": Words(
        _("La plate-forme ne vous connaît pas comme médecin : elle n'a certifié aucun numéro INAMI."),
        _("Contactez l'INAMI ou eHealth pour faire enregistrer votre qualité de médecin, puis recommencez."),
    ),
    "nihii_differs": Words(
        _("Le numéro INAMI que la plate-forme certifie n'est pas celui que vous avez encodé."),
        _("Corrigez votre numéro INAMI dans « Informations générales », puis recommencez."),
    ),
    "session_ended": Words(
        _("La connexion a été fermée avant la fin du test."), _("Choisissez à nouveau votre trousseau.")
    ),
    "gave_up": Words(
        _("La plate-forme eHealth est restée injoignable pendant 24 heures."),
        _("Choisissez à nouveau votre trousseau pour relancer le test."),
    ),
    "test_lost": Words(
        _("Le test a été interrompu plusieurs fois de suite."),
        _("Choisissez à nouveau votre trousseau pour relancer le test."),
    ),
    "worker_lost": Words(
        _("L'envoi a été interrompu plusieurs fois de suite."),
        _("Relancez-le ; si cela se répète, contactez le support."),
    ),
}

# Warnings of a test that passed.
WARNINGS = {
    "mailbox_unreachable": Words(
        _("Vous êtes connecté, mais votre eHealthBox n'a pas répondu."),
        _("Vos messages seront relevés dès qu'elle répond."),
    ),
    "no_encryption_key": Words(
        _(
            "Ce trousseau ne contient pas de clé de chiffrement : les messages chiffrés ne pourront pas "
            "être lus."
        ),
        _("Choisissez le trousseau le plus récent que vous avez enregistré."),
    ),
    "etk_differs": Words(
        _(
            "La clé de chiffrement publiée à votre nom n'est pas dans ce trousseau : les messages "
            "chiffrés ne pourront pas être lus."
        ),
        _("Choisissez le trousseau le plus récent que vous avez enregistré."),
    ),
}

# Codes of « Tester ma configuration » that are not a fault of the platform.
TEST_AGAIN = _("Refaites le test dans un moment.")
NEEDS_FIRST = _("Complétez-le d'abord, puis refaites le test.")
CHECKS = {
    "worker_lost": Words(
        _("Le test a été interrompu plusieurs fois de suite."),
        _("Relancez-le ; si cela se répète, contactez le support."),
    ),
    "no_keystore": Words(
        _("Aucun trousseau valable n'est connecté."),
        _("Choisissez votre trousseau dans « Connexion eHealth »."),
    ),
    "session_over": Words(
        _("Votre session eHealth est terminée."),
        _("Reconnectez-vous dans « Connexion eHealth », puis refaites le test."),
    ),
    "etk_absent": Words(
        _("Aucune clé de chiffrement n'est publiée à votre nom : personne ne peut vous écrire en secret."),
        _("Enregistrez-la dans le gestionnaire de certificats eHealth, puis refaites le test."),
    ),
    "mailbox_full": Words(
        _("Votre eHealthBox est pleine : des messages attendent dehors."),
        _("Supprimez-y des messages pour les recevoir."),
    ),
    "mailbox_nearly_full": Words(
        _("Votre eHealthBox est presque pleine."), _("Supprimez-y des messages avant qu'elle ne le soit.")
    ),
    "not_delivered": Words(
        _("Le message de test est parti, mais n'est pas arrivé dans votre eHealthBox."),
        _("Vérifiez qu'elle n'est pas pleine, puis refaites le test."),
    ),
    "content_differs": Words(_("Le message de test est arrivé changé."), CALL_SUPPORT),
    "not_deleted": Words(
        _("Le message de test est arrivé, mais n'a pas pu être effacé."),
        _("Effacez-le vous-même : son titre commence par « Test medisetup »."),
    ),
    "needs_profession": Words(_("L'eDMG est réservé aux médecins."), NEEDS_FIRST),
    "needs_names": Words(_("Votre nom ou votre prénom manque."), NEEDS_FIRST),
    "needs_ssin": Words(_("Votre numéro national manque."), NEEDS_FIRST),
    "needs_nihii": Words(_("Votre numéro INAMI manque."), NEEDS_FIRST),
    "needs_nihii_gp": Words(
        _("Votre numéro INAMI n'est pas celui d'un médecin généraliste (codes 001 à 008)."),
        _(
            "Si c'est une erreur, corrigez-le dans « Informations générales » ; "
            "sinon l'eDMG ne vous concerne pas."
        ),
    ),
    "needs_connection": Words(
        _("Aucun trousseau valable n'est connecté."),
        _("Choisissez votre trousseau dans « Connexion eHealth »."),
    ),
}

# What a capability that passed means.
PASSED = {
    "token": _("La plate-forme eHealth vous reconnaît comme médecin et renouvelle votre session."),
    "etk": _(
        "La clé publiée à votre nom est dans votre trousseau : les messages chiffrés pourront être lus."
    ),
    "mailbox": _("Votre eHealthBox répond et ses messages peuvent être relevés."),
    "edmg": _("Tout ce qu'une demande d'inscription exige est en place."),
    "round_trip": _("Un message de test est parti, arrivé, lu, accusé et effacé."),
}

SERVICES = {
    "sts": _("Session eHealth"),
    "etk": _("Clé de chiffrement publiée"),
    "mailbox": _("eHealthBox"),
    "publication": _("eHealthBox, envoi"),
    "registration": _("Inscription eDMG"),
}
OPERATIONS = {
    "RequestSecurityToken": _("Ouvrir ou renouveler la session"),
    "GetEtk": _("Chercher la clé"),
    "getBoxInfo": _("État de la boîte"),
    "getMessagesList": _("Liste des messages"),
    "getFullMessage": _("Lire un message"),
    "getMessageAcknowledgmentsStatus": _("Accusés d'un message"),
    "moveMessage": _("Déplacer un message"),
    "deleteMessage": _("Effacer un message"),
    "sendMessage": _("Envoyer un message"),
    "registerToMycarenetService": _("Inscrire auprès d'une mutualité"),
}

FIX_NIHII = _("Corrigez votre numéro INAMI dans « Informations générales », puis refaites la demande.")
FIX_ACCOUNT = _("Corrigez le compte bancaire, puis refaites la demande.")

# Business codes of a registration, by code and part of the request they are about ('' when none is named).
# What a sender of the eHealthBox is; the platform has more kinds, which are better left unsaid.
SENDERS: dict[str, Promise] = {
    "DOCTOR": _("Médecin"),
    "NURSE": _("Infirmier"),
    "PHARMACIST": _("Pharmacien"),
    "HOSPITAL": _("Hôpital"),
    "LABO": _("Laboratoire"),
    "GUARD_POST": _("Poste de garde"),
    "MEDICAL_HOUSE": _("Maison médicale"),
    "PHARMACY": _("Pharmacie"),
    "RETIREMENT": _("Maison de repos"),
}
REGISTRATION = {
    ("100", "nihii"): Words(_("Votre numéro INAMI manque dans la demande."), FIX_NIHII),
    ("100", "account"): Words(_("Le compte bancaire manque dans la demande."), FIX_ACCOUNT),
    ("100", ""): Words(_("Une donnée obligatoire manque dans la demande."), CALL_SUPPORT),
    ("111", "nihii"): Words(_("La mutualité juge votre numéro INAMI mal formé."), FIX_NIHII),
    ("111", "account"): Words(_("La mutualité juge l'IBAN ou le BIC mal formé."), FIX_ACCOUNT),
    ("111", ""): Words(_("La mutualité juge une donnée mal formée."), CALL_SUPPORT),
    ("112", ""): Words(
        _("Un chiffre de contrôle est faux."),
        _("Vérifiez votre numéro INAMI et votre IBAN, puis refaites la demande."),
    ),
    ("130", "account"): Words(
        _("La mutualité refuse ce compte bancaire."),
        _("Indiquez un autre compte pour elle, ou contactez-la."),
    ),
    ("130", ""): Words(_("La mutualité refuse une valeur de la demande."), CALL_SUPPORT),
    ("140", ""): Words(
        _(
            "La mutualité vous connaît, mais pas comme médecin généraliste habilité à ouvrir des DMG "
            "aujourd'hui."
        ),
        _("Faites vérifier le code de compétence de votre numéro INAMI auprès de l'INAMI, puis redemandez."),
    ),
    ("141", ""): Words(
        _("La mutualité ne vous connaît pas encore."),
        _(
            "Un nouveau numéro INAMI arrive tard chez les mutualités : un essai par jour est prévu pendant "
            "14 jours. Ensuite, contactez la mutualité, puis redemandez."
        ),
    ),
    ("155", ""): Words(
        _("Le numéro INAMI de la demande n'est pas celui de votre connexion eHealth."), FIX_NIHII
    ),
    ("168", ""): Words(
        _("Vous étiez déjà inscrit auprès de cette mutualité."),
        _(
            "Le compte bancaire qu'elle connaît n'a pas été changé : pour le modifier, contactez-la "
            "directement."
        ),
    ),
}

UNKNOWN = Words(_("La plate-forme a répondu par un code que nous ne connaissons pas."), CALL_SUPPORT)
SOFTWARE_FAULT = Words(_("La plate-forme a refusé la forme du message."), CALL_SUPPORT)

# Prerequisites of an eDMG request: what is missing, and the section where it is filled in.
PREREQUISITES = {
    "profession": (
        _("Être médecin : l'eDMG est réservé aux médecins généralistes."),
        "practitioners:general",
    ),
    "names": (_("Votre nom et votre prénom"), "practitioners:general"),
    "ssin": (_("Votre numéro national"), "practitioners:general"),
    "nihii": (_("Votre numéro INAMI"), "practitioners:general"),
    "nihii_gp": (
        _("Un numéro INAMI de médecin généraliste ou en formation (se terminant par 001 à 008)"),
        "practitioners:general",
    ),
    "connection": (_("Une connexion eHealth valable"), "ehealth:connection"),
}


def keystore(code: str, facts: dict[str, Any] | None = None) -> Words:
    """For a refused file; dates of `facts` are put into the sentence."""
    words = KEYSTORE.get(code, KEYSTORE["not_pkcs12"])
    dates = {name: date_format(value) for name, value in (facts or {}).items() if isinstance(value, datetime)}
    return Words(str(words.reason) % dates, words.step) if dates else words


def platform(code: str) -> Words:
    """For a fault or a failure of the exchange."""
    if code in PLATFORM:
        return PLATFORM[code]
    return SOFTWARE_FAULT if code.startswith("SOA-03") else UNKNOWN


def check(capability: str, code: str) -> Words:
    """For the outcome of a check; an empty code: it passed."""
    if not code:
        return Words(PASSED[capability], "")
    said = CHECKS.get(code) or WARNINGS.get(code) or platform(code)
    return said._replace(step=TEST_AGAIN) if said.step is WE_TRY_AGAIN else said


def service(name: str) -> str:
    """A service of the platform in words."""
    return str(SERVICES.get(name, name))


def operation(name: str) -> str:
    """An operation of a service in words."""
    return str(OPERATIONS.get(name, name))


def exchange(service: str, code: str) -> tuple[str, str]:
    """Kind of tag and sentence for how one call ended."""
    if code == "OK":
        return "done", gettext("Réussi")
    said = registration(code) if service == "registration" else platform(code)
    return "problem", str(said.reason)


def registration(code: str, place: str = "") -> Words:
    """For the last answer of a mutuality, or the failure to get one."""
    return REGISTRATION.get((code, place)) or REGISTRATION.get((code, "")) or platform(code)
