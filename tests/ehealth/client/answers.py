"""What a platform may answer, well and ill: shared by the tests of the client and those of the portal."""

import base64
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from ehealth.client import names
from ehealth.client.errors import Faulted, Malformed, NotAuthentic, PlatformError
from tests.ehealth.client.parties import NIHII
from tests.ehealth.client.servers import XML, Answer


def soap(content: str, header: str = "") -> bytes:
    return f'<s:Envelope xmlns:s="{names.SOAP}">{header}<s:Body>{content}</s:Body></s:Envelope>'.encode()


def box(content: str, name: str = "GetBoxInfo") -> Answer:
    return 200, XML, soap(f'<c:{name}Response xmlns:c="{names.MAILBOX}" Id="r">{content}</c:{name}Response>')


def fault(code: str, retry: str = "", kind: str = "SystemError") -> Answer:
    detail = (
        f'<err:{kind} xmlns:err="{names.ERR}" Id="_1"><Origin>Server</Origin><Code>{code}</Code>'
        f'<Message xml:lang="en">Not\u0085today</Message>{retry}'
        f"<err:Environment>Simulation</err:Environment></err:{kind}>"
    )
    content = "<s:Fault><faultcode>s:Server</faultcode><faultstring>x</faultstring>"
    content += f"<detail>{detail}</detail></s:Fault>"
    return 500, XML, soap(content)


def verdict(inner: str, nihii: str = NIHII) -> bytes:
    return (
        f'<registrationsAnswer xmlns="{names.BUSINESS}" xmlns:c="{names.ESB}" xmlns:t="{names.CIN}">'
        "<registrant>"
        f"<CareProvider><c:Nihii><c:Quality>doctor</c:Quality><c:Value>{nihii}</c:Value></c:Nihii></CareProvider>"
        f"</registrant>{inner}</registrationsAnswer>"
    ).encode()


ACCEPTED = '<registrationAnswer serviceName="GMD" status="SUCCESS" startDate="2026-01-15"/>'


def rejected(*codes: str) -> str:
    details = "".join(
        f"<answerDetails><t:DetailCode>{code}</t:DetailCode><t:DetailSource>100</t:DetailSource>"
        '<t:Location>/registrations</t:Location><t:Message xml:lang="fr">Non</t:Message></answerDetails>'
        for code in codes
    )
    return f'<registrationAnswer serviceName="GMD" status="ERROR">{details}</registrationAnswer>'


def registered(
    business: bytes,
    *,
    to: str,
    encoding: str = ' ContentEncoding="none"',
    proof: str = "",
    echo: str = "",
) -> Answer:
    """An answer of the registration service, `to` the message with that identifier."""
    content = (
        f'<r:RegisterToMycarenetServiceResponse xmlns:r="{names.REGISTRATION}" xmlns:p="{names.PROTOCOL}"'
        f' xmlns:c="{names.COMMONS}" Id="_9c7b" InResponseTo="{to}" IssueInstant="2026-01-15T09:30:02Z">'
        "<p:Return>"
        f"<p:CommonOutput>{echo}<c:NIPReference>2026-1</c:NIPReference><c:OutputReference>100-1</c:OutputReference>"
        f'</p:CommonOutput><p:Detail Id="_d1" ContentType="text/xml"{encoding}>'
        f"{base64.b64encode(business).decode()}</p:Detail>{proof}</p:Return></r:RegisterToMycarenetServiceResponse>"
    )
    return 200, XML, soap(content)


def deflated(content: bytes, bits: int) -> bytes:
    packer = zlib.compressobj(wbits=bits)
    return packer.compress(content) + packer.flush()


def echo(reference: str) -> str:
    return f"<c:InputReference>{reference}</c:InputReference>"


@dataclass(frozen=True)
class Asked:
    """What a false answer must know of the request: the doctor, and the identifier of the message."""

    nihii: str
    request_id: str

    @classmethod
    def in_request(cls, body: bytes, nihii: str) -> "Asked":
        """Read from the request as it came."""
        found = re.search(rb"RegisterToMycarenetServiceRequest[^>]* Id=\"(\w+)\"", body)
        assert found
        return cls(nihii, found[1].decode())

    def verdict(self, inner: str = ACCEPTED) -> bytes:
        """The content of an answer about this doctor."""
        return verdict(inner, self.nihii)

    def answered(self, business: bytes | None = None, **changes: str) -> Answer:
        """The answer to this message: accepted, unless another content is given."""
        content = self.verdict() if business is None else business
        return registered(content, **{"to": self.request_id} | changes)

    def changed(self, before: str, after: str) -> Answer:
        """A good answer with some octets of the envelope replaced."""
        status, headers, content = self.answered()
        assert before.encode() in content
        return status, headers, content.replace(before.encode(), after.encode())

    def packed(self, content: bytes) -> Answer:
        """An answer that says nothing of the encoding of its content: deflated then."""
        return self.answered(content, encoding="")


ENTITIES = b'<!DOCTYPE a [<!ENTITY b "xxxxxxxxxx"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>'
LATIN = b'<?xml version="1.0" encoding="ISO-8859-1"?>'
OTHER = "19999916002"
SECURITY = f'<w:Security xmlns:w="{names.WSSE}"/>'
Case = tuple[Callable[[Asked], Answer], type[PlatformError]]

# Content, and what ties it to the question.
FALSE: dict[str, Case] = {
    "answer to another request": (lambda asked: asked.answered(to="_other"), NotAuthentic),
    "another reference": (lambda asked: asked.answered(echo=echo("other")), NotAuthentic),
    "another doctor": (lambda asked: asked.answered(verdict(ACCEPTED, OTHER)), NotAuthentic),
    "another doctor, cut by a comment": (
        lambda asked: asked.answered(verdict(ACCEPTED, "1999991<!-- -->6002")),
        NotAuthentic,
    ),
    "another doctor, already registered": (
        lambda asked: asked.answered(verdict(rejected("168"), OTHER)),
        NotAuthentic,
    ),
    "already registered, to another request": (
        lambda asked: asked.answered(asked.verdict(rejected("168")), to="_other"),
        NotAuthentic,
    ),
    "another service": (
        lambda asked: asked.answered(asked.verdict(ACCEPTED.replace("GMD", "MDA"))),
        NotAuthentic,
    ),
    "unknown status": (
        lambda asked: asked.answered(asked.verdict(ACCEPTED.replace("SUCCESS", "OK"))),
        Malformed,
    ),
    "status in small letters": (
        lambda asked: asked.answered(asked.verdict(ACCEPTED.replace("SUCCESS", "success"))),
        Malformed,
    ),
    "no verdict": (lambda asked: asked.answered(asked.verdict("")), Malformed),
    "two verdicts": (lambda asked: asked.answered(asked.verdict(ACCEPTED + rejected("141"))), Malformed),
    "verdict in a wrapper": (
        lambda asked: asked.answered(asked.verdict(f"<wrapper>{ACCEPTED}</wrapper>")),
        Malformed,
    ),
    "date that is none": (
        lambda asked: asked.answered(asked.verdict(ACCEPTED.replace("2026-01-15", "soon"))),
        Malformed,
    ),
    "refusal without reason": (lambda asked: asked.answered(asked.verdict(rejected())), Malformed),
    "content that is no answer": (lambda asked: asked.answered(b"<a/>"), Malformed),
    "content that is no XML": (lambda asked: asked.answered(b"SUCCESS"), Malformed),
    "content that is empty": (lambda asked: asked.answered(b""), Malformed),
    "content cut short": (lambda asked: asked.answered(asked.verdict()[:-9]), Malformed),
    "content in latin 1": (lambda asked: asked.answered(LATIN + asked.verdict()), Malformed),
    "content with a DTD": (lambda asked: asked.answered(b"<!DOCTYPE a>" + asked.verdict()), Malformed),
    "content with entities": (lambda asked: asked.answered(ENTITIES + asked.verdict("&c;")), Malformed),
    "content that explodes": (lambda asked: asked.packed(deflated(b"0" * 30_000_000, -15)), Malformed),
    "content packed and cut": (lambda asked: asked.packed(deflated(asked.verdict(), -15)[:-9]), Malformed),
    "content said to be packed": (lambda asked: asked.packed(asked.verdict()), Malformed),
    "content packed otherwise": (
        lambda asked: asked.answered(encoding=' ContentEncoding="gzip"'),
        Malformed,
    ),
    "wrong digest": (
        lambda asked: asked.answered(encoding=' ContentEncoding="none" HashValue="AAAA"'),
        Malformed,
    ),
    "no base64": (lambda asked: asked.changed("</p:Detail>", "*</p:Detail>"), Malformed),
}

# The envelope around it.
MISSHAPEN: dict[str, Case] = {
    "another root": (lambda _asked: (200, XML, b"<a/>"), Malformed),
    "SOAP 1.2": (
        lambda asked: asked.changed(names.SOAP, "http://www.w3.org/2003/05/soap-envelope"),
        Malformed,
    ),
    "two bodies": (lambda asked: asked.changed("<s:Body>", "<s:Body/><s:Body>"), Malformed),
    "body within the body": (
        lambda asked: asked.changed("<p:Return>", "<p:Return><s:Body/>"),
        NotAuthentic,
    ),
    "something behind the body": (lambda asked: asked.changed("</s:Body>", "</s:Body><a/>"), Malformed),
    "two elements": (lambda asked: asked.changed("</s:Body>", "<a/></s:Body>"), Malformed),
    "empty body": (lambda _asked: (200, XML, soap("")), Malformed),
    "doubled identifiers": (lambda asked: asked.changed('Id="_d1"', 'Id="_9c7b"'), NotAuthentic),
    "two security headers": (
        lambda asked: asked.changed("<s:Body>", f"<s:Header>{SECURITY}{SECURITY}</s:Header><s:Body>"),
        NotAuthentic,
    ),
    "another answer": (lambda _asked: box("<Status><Code>100</Code></Status>"), Malformed),
    "another order": (lambda asked: asked.changed("<p:Return>", "<p:Return><p:First/>"), Malformed),
    "nothing returned": (
        lambda asked: (200, XML, re.sub(rb"<p:Return>.*</p:Return>", b"", asked.answered()[2])),
        Malformed,
    ),
    "two details": (
        lambda asked: asked.changed("</p:Return>", '<p:Detail Id="_d2">PGEvPg==</p:Detail></p:Return>'),
        Malformed,
    ),
    "success as an error": (lambda asked: (500, *asked.answered()[1:]), Malformed),
    "success in HTML": (
        lambda asked: (200, {"Content-Type": "text/html"}, asked.answered()[2]),
        Malformed,
    ),
    "success in JSON": (
        lambda _asked: (200, {"Content-Type": "application/json"}, b'{"status": "SUCCESS"}'),
        Malformed,
    ),
    "success in latin 1": (
        lambda asked: (200, {"Content-Type": "text/xml; charset=latin1"}, asked.answered()[2]),
        Malformed,
    ),
    "success with status 202": (lambda asked: (202, *asked.answered()[1:]), Malformed),
    "fault as a success": (lambda _asked: (200, *fault("SOA-03006")[1:]), Faulted),
    "fault that says success": (lambda _asked: fault("SUCCESS"), Faulted),
    "fault that says already registered": (lambda _asked: fault("168", kind="BusinessError"), Faulted),
    "fault without a detail": (
        lambda _asked: (
            500, XML, soap("<s:Fault><faultcode>s:Server</faultcode><faultstring>OK</faultstring></s:Fault>"),
        ),
        Faulted,
    ),
}  # fmt: skip
