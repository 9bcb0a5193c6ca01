"""Every message as a file, in the simulation only, under several processes."""

import multiprocessing
import stat
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from django.core.checks import run_checks
from pytest_django.fixtures import Settings

from ehealth.client import mailbox, publication
from ehealth.client.capture import Capture
from ehealth.client.errors import Faulted, Malformed, Unreachable
from ehealth.client.platform import SERVICES
from ehealth.client.transport import Reply
from tests.ehealth.client import parties
from tests.ehealth.client.servers import XML, Answer, answering
from tests.ehealth.client.test_conversation import BOX, ME, NOW, SUCCESS, box, fault
from tests.ehealth.client.test_mailbox_operations import ID, REFERRED, full, in_parts


def ask(folder: Path, *addresses: str) -> mailbox.BoxInfo:
    platform = parties.platform(endpoints=dict.fromkeys(SERVICES, addresses), capture=folder)
    return mailbox.box_info(platform, ME, parties.assertion(), now=NOW)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_request_and_answer_are_kept_as_they_went(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "captured"
    with answering(lambda _body: box(SUCCESS + BOX)) as (address, seen):
        ask(folder, address)
        ask(folder, address)
    assert names(folder) == [
        f"00000{number}-mailbox-getBoxInfo-{side}.xml"
        for number in (1, 2) for side in ("request", "response")
    ]  # fmt: skip
    assert [path.read_bytes() for path in sorted(folder.glob("*request.xml"))] == seen.bodies
    assert (folder / "000001-mailbox-getBoxInfo-response.xml").read_bytes() == box(SUCCESS + BOX)[2]
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert (modes, stat.S_IMODE(folder.stat().st_mode)) == ({0o600}, 0o700)


def test_every_try_is_kept_and_what_never_came_is_not(tmp_path: Path) -> None:
    with answering(lambda _body: fault("SOA-02001")) as (address, _), pytest.raises(Unreachable):
        ask(tmp_path, address, "http://127.0.0.1:9/")
    assert names(tmp_path) == [
        "000001-mailbox-getBoxInfo-request.xml",
        "000001-mailbox-getBoxInfo-response.xml",
        "000002-mailbox-getBoxInfo-request.xml",
    ]


@pytest.mark.parametrize("answer", [fault("SOA-03006"), (200, XML, b"nonsense")])
def test_an_answer_that_is_no_success_is_kept_too(tmp_path: Path, answer: Answer) -> None:
    with answering(lambda _body: answer) as (address, _), pytest.raises((Faulted, Malformed)):
        ask(tmp_path, address)
    assert (tmp_path / "000001-mailbox-getBoxInfo-response.xml").read_bytes() == answer[2]


def test_an_answer_in_parts_is_kept_whole_beside_its_envelope(tmp_path: Path) -> None:
    answer = in_parts(full(REFERRED), {"doc@x": b"\0"})
    for given in (answer, (answer[0], answer[1], answer[2][:-5])):
        with answering(lambda _body, given=given: given) as (address, _):
            platform = parties.platform(address, capture=tmp_path)
            try:
                mailbox.full_message(platform, ME, parties.assertion(), message_id=ID, now=NOW)
            except Malformed:
                assert given is not answer
    prefix = "mailbox-getFullMessage-response"
    assert (tmp_path / f"000001-{prefix}.xml").read_bytes() == full(REFERRED)
    whole = (tmp_path / f"000001-{prefix}.mime").read_bytes()
    assert whole == f"Content-Type: {answer[1]['Content-Type']}\r\n\r\n".encode() + answer[2]
    assert (tmp_path / f"000002-{prefix}.xml").read_bytes() == answer[2][:-5]


def write_many(folder: Path, together: Barrier) -> None:
    platform = parties.platform(capture=folder)
    together.wait(30)
    for _ in range(200):
        Capture.of(platform, "etk", "GetEtk", b"<a/>").keep(Reply(200, b"<b/>"))


def test_several_processes_share_a_folder(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    together = context.Barrier(4)
    writers = [context.Process(target=write_many, args=(tmp_path, together)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0] * 4
    numbers = [name[:6] for name in names(tmp_path) if name.endswith("request.xml")]
    assert numbers == [f"{number:06}" for number in range(1, 801)]
    assert len(names(tmp_path)) == 1600


def test_nothing_is_kept_unless_somebody_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with answering(lambda _body: fault("814")) as (address, _), pytest.raises(Faulted):
        publication.send(parties.platform(address), ME, parties.assertion(), title="x", content=b"", now=NOW)
    assert names(tmp_path) == []


@pytest.mark.parametrize("environment", ["acceptance", "production"])
def test_the_real_platform_is_never_captured(tmp_path: Path, environment: str, settings: Settings) -> None:
    changes = {"environment": environment, "is_test": environment != "production"}
    parties.platform("https://x.example", **changes)
    with pytest.raises(ValueError, match="simulation only"):
        parties.platform("https://x.example", capture=tmp_path, **changes)
    settings.EHEALTH_CAPTURE_DIR, settings.EHEALTH_ENVIRONMENT = str(tmp_path), environment
    assert any("EHEALTH_CAPTURE_DIR" in str(error.msg) for error in run_checks())
    settings.EHEALTH_CAPTURE_DIR = ""
    assert not any("EHEALTH_CAPTURE_DIR" in str(error.msg) for error in run_checks())
    settings.EHEALTH_CAPTURE_DIR, settings.EHEALTH_ENVIRONMENT = str(tmp_path), "simulation"
    assert not any("EHEALTH_CAPTURE_DIR" in str(error.msg) for error in run_checks())
