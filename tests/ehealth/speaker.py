"""A doctor's keystore put to the platform that the environment names, and one registration: run in a process
of its own, as a portal started with other settings would be.

`python -m tests.ehealth.speaker USER_ID KEYSTORE PASSWORD_FILE` prints how far it came.
"""

import sys
from pathlib import Path

import django


def main(user_id: str, keystore: str, password: str) -> str:
    """What became of it: the code of a refusal of the file or of the test, or the state of a registration."""
    from django.utils import timezone

    from accounts.actions.sections import section_version
    from accounts.models import User
    from billing.bank import account
    from ehealth import conditions
    from ehealth.actions import connection, edmg
    from ehealth.keystore import KeystoreRefused
    from ehealth.models import EdmgRegistration, Keystore, Mutuality

    user, now = User.objects.get(pk=user_id), timezone.now()
    version = section_version(user, connection.SECTION)
    try:
        stored = connection.store(
            user=user, by=user, data=Path(keystore).read_bytes(), password=Path(password).read_text(),
            file_name="own.p12", auto=False, version=version, now=now,
        )  # fmt: skip
    except KeystoreRefused as refused:
        return refused.code
    connection.test(keystore_pk=stored.pk, now=now)
    stored.refresh_from_db()
    if stored.state != Keystore.State.ACTIVE:
        return f"{stored.state} {stored.result_code}"
    accounts = dict.fromkeys(Mutuality.values, account("BE67001000001187"))
    rows = edmg.request(
        user=user, by=user, accounts=accounts, same_account=True, conditions_version=conditions.VERSION,
        language="fr", proved_at=now, version=section_version(user, edmg.SECTION), now=now,
    )  # fmt: skip
    for row in rows:
        edmg.send(pk=row.pk, now=now)
    return " ".join(sorted(set(EdmgRegistration.objects.filter(user=user).values_list("state", flat=True))))


if __name__ == "__main__":
    django.setup()
    sys.stdout.write(main(*sys.argv[1:]))
