"""Our side of the contract: zeep builds messages from the WSDL, the XSD judge what comes back. Read once per
process.
"""

from functools import cache
from typing import Any

from lxml import etree

from ehealth import wsdl
from ehealth.client.errors import Malformed
from ehealth.client.xml import Element


@cache
def document(name: str) -> Any:
    """The parsed WSDL; zeep is loaded here, at the first message, so that web processes stay light."""
    from zeep import Settings, Transport
    from zeep.wsdl import Document

    settings = Settings(
        strict=True, forbid_dtd=True, forbid_entities=True, forbid_external=True, xml_huge_tree=False
    )
    transport = Transport()  # type: ignore[no-untyped-call]  # zeep annotates only some of its classes
    # zeep names the class where it takes an object.
    return Document(str(wsdl.path(name)), transport, settings=settings)  # type: ignore[arg-type]


def message(name: str, operation: str, **fields: Any) -> Element:
    """A new SOAP envelope, without header, for an operation of that WSDL."""
    (binding,) = document(name).bindings.values()
    return binding.get(operation).create(**fields).content


@cache
def _schema() -> Any:
    return etree.XMLSchema(etree.parse(str(wsdl.path("envelope.xsd"))))


@cache
def _business() -> Any:
    return etree.XMLSchema(etree.parse(str(wsdl.path("registration-business.xsd"))))


def check_envelope(envelope: Element) -> None:
    """Malformed unless the message keeps to the schemas."""
    if not _schema().validate(envelope):
        raise Malformed("schema")


def check_business(root: Element) -> None:
    """Malformed unless the content of a Detail keeps to the business schema."""
    if not _business().validate(root):
        raise Malformed("business schema")
