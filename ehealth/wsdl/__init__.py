"""The contract with the platform: WSDL and XSD files, read by the client and by the simulator alike.

One file per namespace. `sts.wsdl`, `etk.wsdl`, `mailbox.wsdl`, `publication.wsdl` and `registration.wsdl`
describe the services; `registration-business.xsd` what travels inside the Detail of a registration;
`errors.xsd` the fault details; `envelope.xsd` a whole SOAP message: it imports every other schema, so one
compiled object validates the header, the body and the fault of any message of any service.
"""

from pathlib import Path

_FOLDER = Path(__file__).resolve().parent


def path(name: str) -> Path:
    """Where the contract file of that name lies; FileNotFoundError for a name that is not in the contract."""
    found = _FOLDER / name
    if Path(name).name != name or found.suffix not in {".wsdl", ".xsd"} or not found.is_file():
        raise FileNotFoundError(name)
    return found


def names() -> tuple[str, ...]:
    """Every file of the contract, sorted."""
    return tuple(sorted(found.name for found in _FOLDER.iterdir() if found.suffix in {".wsdl", ".xsd"}))
