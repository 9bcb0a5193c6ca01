"""Who somebody is and what proves it, split by noun."""

from accounts.models.keys import BlockedKey, KeyChallenge, KeyReset, PersonalKey
from accounts.models.people import HubRegion, Invitation, Practice, Role, RoleGrant, User
from accounts.models.records import (
    AuditEvent,
    AuditLink,
    AuditPruned,
    BillingAddress,
    Licence,
    LicenceRequest,
    Mail,
    ProvisionalClaim,
    SectionReview,
)
from accounts.models.sessions import Session

__all__ = [
    "AuditEvent",
    "AuditLink",
    "AuditPruned",
    "BillingAddress",
    "BlockedKey",
    "HubRegion",
    "Invitation",
    "KeyChallenge",
    "KeyReset",
    "Licence",
    "LicenceRequest",
    "Mail",
    "PersonalKey",
    "Practice",
    "ProvisionalClaim",
    "Role",
    "RoleGrant",
    "SectionReview",
    "Session",
    "User",
]
