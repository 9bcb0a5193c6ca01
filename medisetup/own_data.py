"""What the portal holds about a person, in one list, and the file in which they take it away (SR-143).

A model that leads to a person is in `PARTS` or, with its reason, in `LEFT_OUT`; of a model in `PARTS` each
column is named. What opens something is never told, neither are codes over rows and digests.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from allauth.account.models import EmailAddress, EmailConfirmation
from allauth.mfa.models import Authenticator
from django.contrib.admin.models import LogEntry
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_POST

from accounts import access, audit, journal
from accounts.access import Forbidden
from accounts.models import (
    AuditEvent,
    BillingAddress,
    Invitation,
    KeyChallenge,
    KeyReset,
    Licence,
    LicenceRequest,
    Mail,
    PersonalKey,
    Practice,
    ProvisionalClaim,
    RoleGrant,
    SectionReview,
    Session,
    User,
)
from accounts.signed_request import SignedRequest
from accounts.signin import second_proof_from
from billing.models import FinancialSettings
from ehealth.models import (
    AccountChange,
    AccountChangeTask,
    EdmgRegistration,
    EdmgRequest,
    Exchange,
    Keystore,
    Mailbox,
    MailboxMessage,
    PlatformCheck,
    PlatformSession,
)
from practitioners.models import Address, PeopleImport, Practitioner, Telecom


@dataclass(frozen=True)
class Part:
    """The rows of one model about a person, found by the look-up `person`; columns by what becomes of them.

    `told` is in the file, `withheld` opens something, `inner` serves the portal alone: numbers of rows,
    second spellings, digests, turns of background work.
    """

    name: str
    model: type[Model]
    person: str
    told: str
    withheld: str = ""
    inner: str = "id"

    def rows(self, user: User) -> QuerySet[Any]:
        return self.model._base_manager.filter(**{self.person: user.pk})

    def read(self, user: User) -> Iterator[dict[str, Any]]:
        """Each row as it is stored, without the columns that are not told."""
        names = self.told.split()
        leading = [name for name in names if self.model._meta.get_field(name).is_relation]
        rows = self.rows(user).select_related(*leading) if leading else self.rows(user)
        for row in rows.order_by("pk").iterator(chunk_size=1000):
            yield {name: plain(getattr(row, name)) for name in names}


class Journal(Part):
    """Events name people by uuid, not by key."""

    def rows(self, user: User) -> QuerySet[Any]:
        return journal.of_person(user)


def plain(value: Any) -> Any:
    """A column as JSON can hold it; a colleague is a name, another row its uuid."""
    if isinstance(value, (User, Practitioner)):
        return str(value)
    return value.uuid if isinstance(value, Model) else value  # type: ignore[attr-defined]


PARTS = (
    Part(
        "account", User, "pk",
        "uuid practice login email last_name first_name language is_active is_staff created_at created_by "
        "activated_at deactivated_at last_login ready_at password_own_at billing_address hub_region "
        "sumehr_auto_send same_roof_search",
        withheld="password", inner="id login_key email_key",
    ),
    Part("practice", Practice, "users", "uuid name type created_at", inner="id version"),
    Part("roles", RoleGrant, "user", "role granted_by granted_at", inner="id user"),
    Part("email_addresses", EmailAddress, "user", "email verified primary", inner="id user"),
    Part(
        "second_factors", Authenticator, "user", "type created_at last_used_at",
        withheld="data", inner="id user",
    ),
    Part(
        "invitations", Invitation, "user",
        "uuid email_key created_by created_at expires_at used_at revoked_at", inner="id user",
    ),
    Part("sections", SectionReview, "user",
         "section version prefilled_by prefilled_at confirmed_at", inner="id user"),
    Part(
        "billing_address", BillingAddress, "users",
        "uuid practice name bce street number box postcode city country email", inner="id version",
    ),
    Part("licence", Licence, "user", "state starts_on ends_on reminded_days", inner="id user"),
    Part("licence_days_used", ProvisionalClaim, "licence__user",
         "number starts_on ends_on", inner="id licence"),
    Part(
        "licence_requests", LicenceRequest, "licence__user",
        "uuid requested_by requested_at name nihii practice_name billing_address billing_email "
        "invoice_number invoiced_on paid_on activated_at", inner="id licence",
    ),
    Part(
        "practitioner", Practitioner, "user",
        "uuid civility title other_languages profession speciality ssin nihii company_name training_status "
        "house_contact_ssin house_nihii house_contact guard_post", inner="id user practice",
    ),
    Part(
        "addresses", Address, "practitioner__user",
        "uuid type description street number box postcode city country", inner="id practitioner",
    ),
    Part("telecoms", Telecom, "address__practitioner__user", "address type value"),
    Part(
        "financial", FinancialSettings, "practitioner__user",
        "bce convention convention_hours iban bic bic_source supervisor supervisor_lost_at",
        inner="id practitioner",
    ),
    Part(
        "personal_keys", PersonalKey, "user",
        "uuid fingerprint algorithm bits state protection origin prepared kept_at created_at backup_at "
        "backup_reread_at second_backup_at last_proof_at ended_at end_reason ended_by replaced_by",
        withheld="file_code", inner="id user spki",
    ),
    Part("key_resets", KeyReset, "subject",
         "uuid by reason created_at opens_at ends_at used_at cancelled_at", inner="id subject"),
    Part(
        "keystores", Keystore, "user",
        "uuid state file_name ssin holder_name serial issuer_name not_before not_after encryption_serials "
        "stay_connected created_at tested_at result_code ended_at reminded_days",
        withheld="blob key chain", inner="id user sha256 attempts lost_claims next_attempt_at",
    ),
    Part(
        "ehealth_sessions", PlatformSession, "keystore__user",
        "uuid keystore nihii not_before not_on_or_after ended_at end_reason",
        withheld="key chain assertion", inner="id",
    ),
    Part(
        "edmg_consents", EdmgRequest, "user",
        "uuid conditions_version conditions_language conditions_text same_account accounts proved_at "
        "accepted_at",
        inner="id user",
    ),
    Part(
        "edmg_registrations", EdmgRegistration, "user",
        "uuid request mutuality state iban bic reference queued_at attempts next_attempt_at outcome_unknown "
        "result_code result_place result_message start_date answered_at",
        inner="id user lease_until lost_claims",
    ),
    Part("account_changes", AccountChange, "user", "uuid iban bic created_at ended_at", inner="id user"),
    Part("account_change_letters", AccountChangeTask, "change__user",
         "change mutuality old_iban sent_on confirmed_on"),
    Part(
        "mailbox", Mailbox, "user", "auto next_poll_at polled_at failures result_code standby",
        inner="id user reading_since",
    ),
    Part(
        "mailbox_messages", MailboxMessage, "mailbox__user",
        "message_id sender_name sender_id sender_quality title content_type important encrypted has_annex "
        "size published_on expires_on received_at", inner="id mailbox",
    ),
    Part(
        "configuration_tests", PlatformCheck, "user", "capability state code asked_at attempts finished_at",
        inner="id user lease_until",
    ),
    Part(
        "exchanges", Exchange, "user",
        "service operation host reference http_status code started_at milliseconds",
        inner="id user request_sha256 response_sha256",
    ),
    Part(
        "mails", Mail, "user", "uuid kind to created_at sent_at",
        withheld="content", inner="id user attempts next_attempt_at",
    ),
    Journal(
        "journal", AuditEvent, "", "at kind actor_name subject_name address details",
        inner="id actor practice subject request_id key_name code",
    ),
)  # fmt: skip
LEFT_OUT: dict[type[Model], str] = {
    EmailConfirmation: "a link confirms an address by its signature; no row is ever written",
    LogEntry: "support changes no row, so the table stays empty; what it reads is in the journal",
    KeyChallenge: "numbers to sign, good for five minutes",
    PeopleImport: "a file about other people; that it was brought, and by whom, is in the journal",
    Session: "on the page of sessions, over after twelve hours; the row is signed by the portal",
}


def own_data(user: User, *, now: datetime) -> dict[str, Any]:
    """All that is told to its owner, list by list."""
    parts = {part.name: list(part.read(user)) for part in PARTS}
    return {"made_at": now, "of": user.uuid} | parts


@second_proof_from("history")
@require_POST
def export(request: SignedRequest, uuid: UUID) -> HttpResponse:
    """The file, for its owner alone; the taking away is its last event. Raises `Forbidden`."""
    subject = access.subject_or_404(request.user, uuid)
    if subject.pk != request.user.pk:
        raise Forbidden("own_data")
    with transaction.atomic():
        audit.record("account:data:exported", actor=request.user, subject=subject)
        content = own_data(subject, now=timezone.now())
    named = {"Content-Disposition": 'attachment; filename="medisetup.json"'}
    return JsonResponse(content, headers=named, json_dumps_params={"ensure_ascii": False, "indent": 1})
