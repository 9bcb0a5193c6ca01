"""One running simulator for the tests of this folder, with a doctor who holds a token."""

from collections.abc import Iterator

import pytest

from tests.platform import Simulator
from tests.simulator.messages import Doctor, ask_token, assertion_of, doctor

SSIN, NIHII = "84011012387", "19999915004"


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """The process itself."""
    with Simulator.start(tmp_path_factory.mktemp("platform")) as running:
        yield running


@pytest.fixture(autouse=True)
def no_orders_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Cancels what a test ordered and did not use up."""
    yield
    if "simulator" in request.fixturenames:
        request.getfixturevalue("simulator").clear_faults()


@pytest.fixture(scope="session")
def elise(simulator: Simulator) -> Doctor:
    """A general practitioner with an RSA key."""
    return doctor(simulator, SSIN, NIHII)


@pytest.fixture(scope="session")
def token(simulator: Simulator, elise: Doctor) -> str:
    """Her token."""
    return assertion_of(ask_token(simulator, elise))
