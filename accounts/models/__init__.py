"""Who somebody is and what proves it, split by noun."""

from accounts.models.keys import BlockedKey, KeyChallenge, KeyReset, PersonalKey
from accounts.models.people import HubRegion, Invitation, Practice, Role, RoleGrant, User
from accounts.models.records import AuditEvent, BillingAddress, Licence, Mail, SectionReview

__all__ = [
    "AuditEvent",
    "BillingAddress",
    "BlockedKey",
    "HubRegion",
    "Invitation",
    "KeyChallenge",
    "KeyReset",
    "Licence",
    "Mail",
    "PersonalKey",
    "Practice",
    "Role",
    "RoleGrant",
    "SectionReview",
    "User",
]
