"""What meets the platform: keystore, session, registrations, mailbox, exchanges.

Secrets are sealed (`accounts.sealing`), bound to table, column, row and owner. States move by the
actions of `ehealth.actions`; the row is the truth, the broker only rings the bell.
"""

from ehealth.models.edmg import AccountChange, AccountChangeTask, EdmgRegistration, EdmgRequest, Mutuality
from ehealth.models.keystores import Keystore, PlatformSession
from ehealth.models.mailbox import Mailbox, MailboxMessage
from ehealth.models.platform import Endpoint, Exchange, PlatformCheck

__all__ = [
    "AccountChange",
    "AccountChangeTask",
    "EdmgRegistration",
    "EdmgRequest",
    "Endpoint",
    "Exchange",
    "Keystore",
    "Mailbox",
    "MailboxMessage",
    "Mutuality",
    "PlatformCheck",
    "PlatformSession",
]
