"""The platform as the settings describe it, made once per process."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import cast

from django.conf import settings

from ehealth.client.platform import Environment, Licence, Platform, certificates

# Paths below each base address, the same in every environment.
PATHS = {
    "sts": "/IAM/SecurityTokenService/v1",
    "etk": "/EtkDepot/v1",
    "mailbox": "/ehBoxConsultation/v3",
    "publication": "/ehBoxPublication/v3",
    "registration": "/MyCareNet/Registration/v1",
}
USER_AGENT = "medisetup/1.0"


def addresses() -> dict[str, tuple[str, ...]]:
    """The addresses of each service, first choice first."""
    return {
        service: tuple(base.rstrip("/") + path for base in settings.EHEALTH_BASE_URLS)
        for service, path in PATHS.items()
    }


@cache
def platform() -> Platform:
    """Addresses, trust, licence and limits; ValueError for addresses or certificates that cannot be used."""
    connect, read, call = settings.EHEALTH_TIMEOUTS
    environment = cast(Environment, settings.EHEALTH_ENVIRONMENT)
    return Platform(
        environment=environment,
        endpoints=addresses(),
        issuers=certificates(Path(settings.EHEALTH_ISSUERS_FILE).read_bytes()),
        sts_certificates=certificates(Path(settings.EHEALTH_STS_CERTIFICATES_FILE).read_bytes()),
        licence=Licence(
            settings.EHEALTH_LICENCE_NAME,
            settings.EHEALTH_LICENCE_USERNAME,
            settings.EHEALTH_LICENCE_PASSWORD,
        ),
        is_test=environment != "production",
        user_agent=USER_AGENT,
        tls_ca=Path(settings.EHEALTH_TLS_CA_FILE) if settings.EHEALTH_TLS_CA_FILE else None,
        connect_timeout=connect,
        read_timeout=read,
        call_timeout=call,
        capture=Path(settings.EHEALTH_CAPTURE_DIR) if settings.EHEALTH_CAPTURE_DIR else None,
        # Every polling thread may hold one.
        connections=settings.MAILBOX_THREADS,
    )
