"""Signature wrapping: a token whose signature is true, but of another element than the one that is read."""

import copy

from lxml import etree

from ehealth.simulator.soap import DS, SAML
from ehealth.simulator.wsse import NIHII11

FORGED_NUMBER = "10000007004"


def wrapped(signed: etree._Element, moved_into: str) -> etree._Element:
    """A forged assertion that carries the signature of ``signed``, which is hidden where ``moved_into`` says.

    ``object``: in a ds:Object of that signature; ``advice``: in the forged assertion, with its signature;
    ``beside``: both assertions as the children of an element in place of the token. Empty is ``object``.
    """
    forged = copy.deepcopy(signed)
    forged.set("AssertionID", "_forged")
    for attribute in forged.iter(f"{{{SAML}}}Attribute"):
        if attribute.get("AttributeName") == NIHII11:
            attribute[0].text = FORGED_NUMBER
    signature = forged[-1]
    if moved_into == "advice":
        forged.remove(signature)
        etree.SubElement(forged, f"{{{SAML}}}Advice").append(signed)
    elif moved_into == "beside":
        both = etree.Element(f"{{{SAML}}}Evidence", nsmap={"saml": SAML})
        both.extend([forged, signed])
        return both
    else:
        bare = copy.deepcopy(signed)
        bare.remove(bare[-1])
        etree.SubElement(signature, f"{{{DS}}}Object").append(bare)
    return forged
