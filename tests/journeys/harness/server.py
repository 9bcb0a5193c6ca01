"""A small web server for the key scripts alone: pages under the strict policy, endpoints that check proofs.

It answers as the contract at the head of ``static/js/keys.js`` says, keeps one person's key in memory, and
records the body of every request so that a test can look for what must not leave the browser.
"""

import base64
import hashlib
import json
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from string import Template
from urllib.parse import parse_qsl

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

HERE = Path(__file__).resolve().parent
STATIC = HERE.parents[2] / "static"
USER = "0b0e7a52-6f5e-4c39-9d0b-6a1f5f0c2d11"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
GENERATE = """<label><input type="checkbox" data-key-prepared> Je prépare</label>
<label><input type="checkbox" data-key-personal> Ma phrase</label>
<div data-key-personal-section hidden>
<label>Phrase <input type="password" autocomplete="off" data-key-passphrase></label>
<label>Encore <input type="password" autocomplete="off" data-key-passphrase-again></label></div>
<button type="submit" data-key-generate>GÉNÉRER MA PAIRE DE CLÉS</button>"""
FILE = """<p data-key-file-section><label>Fichier de clé <input type="file" data-key-file></label></p>
<p data-key-code-section hidden><label>Code <input autocomplete="off" data-key-code></label></p>
<p data-key-unprotected hidden>Fichier sans protection</p>"""
SUBMIT = '<button type="submit">Vérifier</button>'
INPUTS = {
    "generate": GENERATE,
    "backup": FILE + SUBMIT,
    "import": FILE + SUBMIT,
    "session": '<button type="button" data-key-retry hidden>Réessayer</button>',
    "rotate": FILE + GENERATE,
    "action": FILE + '<label>Raison <textarea name="reason"></textarea></label>' + SUBMIT,
}
ACTIONS = {
    "generate": "/key/register/",
    "backup": "/key/backup/",
    "session": "/key/prove/",
    "rotate": "/key/rotate/",
    "action": "/people/reset/",
}
Answer = tuple[int, dict[str, object]]


@dataclass
class Portal:
    """What the server knows of one person, and what it was sent."""

    spki: bytes = b""
    protection: str = ""
    code: str = ""
    integrity: str = "required"
    purpose: str = "import"
    superseded: dict[str, str] = field(default_factory=dict)
    second_proof: bool = True
    refusal: Answer | None = None
    origin: str = ""
    expected_origin: str = ""
    challenges: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    proved: list[str] = field(default_factory=list)
    forms: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.spki).hexdigest() if self.spki else ""

    def page(self, kind: str) -> str:
        action = "/key/register/" if self.purpose == "register" else "/key/prove/"
        return Template((HERE / "key.html").read_text("utf-8")).substitute(
            kind=kind,
            user=USER,
            login="anne.verite",
            origin=self.expected_origin or self.origin,
            portal="portail.example",
            fingerprint=self.fingerprint,
            protection=self.protection,
            integrity=self.integrity,
            superseded=json.dumps(self.superseded),
            purpose=self.purpose,
            action=ACTIONS.get(kind, action),
            inputs=INPUTS[kind],
        )

    def challenge(self, purpose: str, binding: str) -> Answer:
        number, nonce = secrets.token_urlsafe(16), secrets.token_urlsafe(32)
        self.challenges[number] = (purpose, binding, nonce)
        given = {"id": number, "nonce": nonce, "user": USER, "origin": self.origin, "seconds": 300}
        return 200, given | {"fingerprint": self.fingerprint}

    def check(self, number: str, proof: str, spki: bytes, purpose: str, other: bytes = b"") -> None:
        """Burn the challenge and verify the signature; KeyError or InvalidSignature. other: SPKI bound to."""
        asked, binding, nonce = self.challenges.pop(number)
        if purpose != "action" and binding != (hashlib.sha256(other).hexdigest() if other else "-"):
            raise InvalidSignature
        fingerprint = hashlib.sha256(spki).hexdigest()
        lines = ["medisetup-key-proof-v1", purpose, self.origin, USER, number, nonce, fingerprint, binding]
        key = load_der_public_key(spki)
        assert isinstance(key, rsa.RSAPublicKey) and asked == purpose
        pss = padding.PSS(padding.MGF1(SHA256()), salt_length=32)
        key.verify(base64.b64decode(proof, validate=True), "\n".join(lines).encode(), pss, SHA256())
        self.proved.append(purpose)

    def register(self, form: dict[str, str]) -> None:
        spki = base64.b64decode(form["public_key"], validate=True)
        self.check(form["challenge"], form["proof"], spki, "register")
        self.spki, self.protection, self.code = spki, form["protection"], form["file_code"]

    def rotate(self, form: dict[str, str]) -> None:
        spki = base64.b64decode(form["public_key"], validate=True)
        self.check(form["challenge_old"], form["proof_old"], self.spki, "rotate-old", spki)
        self.check(form["challenge_new"], form["proof_new"], spki, "rotate-new", self.spki)
        self.spki, self.protection, self.code = spki, form["protection"], form["file_code"]

    def prove(self, form: dict[str, str], purpose: str) -> None:
        self.check(form["challenge"], form["proof"], self.spki, purpose)

    def post(self, path: str, form: dict[str, str]) -> Answer:
        self.forms.append((path, form))
        work: dict[str, Callable[[], None]] = {
            "/key/register/": lambda: self.register(form),
            "/key/rotate/": lambda: self.rotate(form),
            "/key/backup/": lambda: self.prove(form, "backup"),
            "/key/prove/": lambda: self.prove(form, form["purpose"]),
            "/people/reset/": lambda: self.prove(form, "action"),
        }
        try:
            work[path]()
        except (KeyError, InvalidSignature):
            return 422, {"code": "bad_proof", "message": "La preuve ne correspond pas à cette clé."}
        return 200, {"next": "/done/"}

    def answer(self, path: str, body: bytes) -> Answer:
        self.bodies.append(body)
        if path == "/key/challenge/":
            asked = json.loads(body)
            return self.challenge(asked["purpose"], asked["binding"])
        if path == "/key/code/":
            refused = {"code": "second_proof_required", "url": "/second-proof/?next=/key/backup/"}
            return (200, {"code": self.code}) if self.second_proof else (403, refused)
        if self.refusal:
            refusal, self.refusal = self.refusal, None
            return refusal
        return self.post(path, dict(parse_qsl(body.decode(), keep_blank_values=True)))


class _Handler(BaseHTTPRequestHandler):
    portal: Portal

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path.startswith("/static/js/"):
            self._send(200, (STATIC / path.removeprefix("/static/")).read_bytes(), "text/javascript")
        elif path.startswith("/key/"):
            self._send(200, self.portal.page(path.split("/")[2]).encode(), "text/html; charset=utf-8")
        else:
            self._send(200, b"<!DOCTYPE html><title>done</title>", "text/html; charset=utf-8")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["X-CSRFToken"] != "csrf-of-the-form" or "json" not in self.headers["Accept"]:
            return self._send(403, b"{}", "application/json")
        status, answer = self.portal.answer(self.path, body)
        return self._send(status, json.dumps(answer).encode(), "application/json")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Silent: the tests look at what was recorded."""


def start() -> tuple[Portal, ThreadingHTTPServer]:
    """Serve on a free local port; the caller shuts the server down."""
    portal = Portal()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"portal": portal}))
    portal.origin = f"http://localhost:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return portal, server
