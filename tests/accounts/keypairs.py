"""Personal key pairs for tests and the demonstration: made here, signing as the browser does."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from accounts.actions import keys as actions
from accounts.actions.keys import KeyFile
from accounts.keys import fingerprint, parse_public_key, proof_message
from accounts.models import PersonalKey, User

# The code of the published vector; its last symbol checks the others.
CODE = "K7Q2M-9ZXCV-ABCDE-12345-FGHJP"
_PSS = padding.PSS(padding.MGF1(hashes.SHA256()), salt_length=32)


@dataclass
class Pair:
    """A private key in the hands of a test."""

    bits: int = 3072
    private: rsa.RSAPrivateKey = field(init=False)

    def __post_init__(self) -> None:
        self.private = rsa.generate_private_key(65537, self.bits)

    @cached_property
    def spki(self) -> bytes:
        der, shape = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        return self.private.public_key().public_bytes(der, shape)

    @property
    def text(self) -> str:
        """The public half as the browser posts it."""
        return base64.b64encode(self.spki).decode()

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.spki)

    def sign(self, message: bytes) -> str:
        return base64.b64encode(self.private.sign(message, _PSS, hashes.SHA256())).decode()


def stored(user: User, pair: Pair, *, pending: bool = False, **facts: Any) -> PersonalKey:
    """The pair as the person's live key, backed up unless `pending`; `facts` as of `register_key`."""
    facts = {"file": KeyFile("portal", CODE), "origin": "generated", "now": timezone.now()} | facts
    key = parse_public_key(pair.text, minimum=2048)
    row = actions.register_key(user=user, key=key, **facts)
    return row if pending else actions.confirm_backup(user=user, now=facts["now"])


def ask(client: Client, purpose: str, binding: str = "-") -> dict[str, Any]:
    """A challenge through the endpoint."""
    body = json.dumps({"purpose": purpose, "binding": binding})
    response = client.post("/key/challenge/", body, content_type="application/json")
    assert response.status_code == 200, response.content
    return response.json()


def sign(
    pair: Pair, asked: dict[str, Any], purpose: str, binding: str = "-", /, **changed: str
) -> dict[str, str]:
    """The fields `challenge` and `proof` for an asked challenge; `changed` forges lines of the message."""
    lines = {
        "purpose": purpose,
        "origin": asked["origin"],
        "user": asked["user"],
        "challenge": asked["id"],
        "nonce": asked["nonce"],
        "fingerprint": pair.fingerprint,
        "binding": binding,
    }
    return {"challenge": asked["id"], "proof": pair.sign(proof_message(**(lines | changed)))}


def answer(client: Client, pair: Pair, purpose: str, binding: str = "-") -> dict[str, str]:
    return sign(pair, ask(client, purpose, binding), purpose, binding)


def registration(client: Client, pair: Pair, **fields: str) -> dict[str, str]:
    """All fields that a generate page posts."""
    made = {"public_key": pair.text, "protection": "portal", "file_code": CODE, "origin": "generated"}
    return answer(client, pair, "register") | made | fields


def post(client: Client, url: str, fields: dict[str, str]) -> HttpResponse:
    """As the key scripts do: a form, an answer in JSON."""
    return client.post(url, urlencode(fields), content_type="application/x-www-form-urlencoded")


def rotation(client: Client, old: Pair, new: Pair, **fields: str) -> dict[str, str]:
    """All fields that a rotate page posts."""
    before = answer(client, old, "rotate-old", new.fingerprint)
    after = answer(client, new, "rotate-new", old.fingerprint)
    return {
        "challenge_old": before["challenge"],
        "proof_old": before["proof"],
        "challenge_new": after["challenge"],
        "proof_new": after["proof"],
        "public_key": new.text,
        "protection": "portal",
        "file_code": CODE,
    } | fields
