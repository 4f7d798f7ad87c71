"""Bytes that travel as they are, behind the JSON: only where they belong, and to who takes them."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.links import DirectLink
from tashi.domain.errors import BadRequest
from tashi.domain.permissions import Caller, Role
from tashi.wire import codec, envelope, versions
from tashi.wire.calls import Calls, to_cluster_manager
from tashi.wire.forms import NetworkForm
from tashi.wire.images import ImportForm, PieceForm
from tashi.wire.methods import CLUSTER_MANAGER, Row
from tashi.wire.screens import TypedForm
from tashi.wire.serving import Desk, Handler

PIECE = bytes(range(256))
SENT = ImportForm(1, "new.img", 512, 256, 1)
READ = PieceForm(PIECE, 512, "1")
ROWS: Row = {
    name: CLUSTER_MANAGER[name] for name in ("sendPiece", "readImage", "getNetworks", "pauseVm")
}
OLDER = versions.Interface(
    "the cluster manager", (versions.Line(versions.Version(1, 2), "Before raw bytes."),)
)


@dataclass
class Service:
    """A cluster manager; one `of` before raw bytes takes nothing behind the JSON."""

    of: versions.Interface = versions.CLUSTER_MANAGER
    got: list[bytes] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)
    said: list[bytes] = field(default_factory=list)

    def answer(self, content: bytes, peer: object) -> bytes:
        self.heard.append(content)
        if self.of is OLDER and b"\0" in content:
            raise BadRequest("The request is not understood: trailing characters.")
        answer = self._desk().answer(content, peer)
        assert isinstance(answer, bytes)
        self.said.append(answer)
        return answer

    def calls(self) -> Calls:
        return to_cluster_manager(DirectLink(self.answer), Caller(Role.ADMIN))

    def _desk(self) -> Desk:
        def take(_caller: Caller, _id: str, content: bytes, **_: object) -> ImportForm:
            self.got.append(content)
            return SENT

        handlers: dict[str, Handler] = {
            "sendPiece": take,
            "readImage": lambda _caller, _id, **_: READ,
            "getNetworks": lambda _caller, _id: (),
            "pauseVm": lambda _caller, _id, instance_id: instance_id,
        }
        return Desk(ROWS, handlers, self.of)


def send(calls: Calls) -> ImportForm:
    return calls.call("sendPiece", ImportForm, import_id=1, number=0, content=PIECE)


def read(calls: Calls) -> PieceForm:
    return calls.call("readImage", PieceForm, name="new.img", offset=0, length=256)


def asked(call: str, args: bytes, raw: bytes | None, version: str = "1.3") -> bytes:
    who = Caller(Role.ADMIN)
    return codec.joined(envelope.write_request(version, "r1", call, args, who), raw)


@given(st.binary())
def test_what_is_taken_apart_and_joined_is_its_equal(data: bytes) -> None:
    form = TypedForm(data, 7)

    content = codec.joined(*codec.encode_apart(form))

    text, raw = codec.text_of(content), codec.raw_of(content)
    assert codec.with_raw(codec.decode(TypedForm, text, "It"), raw, "It") == form
    assert content.endswith(b"\0" + data)


def test_a_form_without_bytes_has_nothing_apart() -> None:
    network = NetworkForm(1, "office")

    assert codec.encode_apart(network) == (codec.encode(network), None)
    assert codec.encode_apart((network,)) == (codec.encode((network,)), None)


def test_a_piece_travels_raw_to_a_service_that_has_answered_in_our_version() -> None:
    service = Service()
    calls = service.calls()

    answers = (send(calls), send(calls))

    assert answers == (SENT, SENT)
    assert service.got == [PIECE, PIECE]
    assert [content.endswith(b"\0" + PIECE) for content in service.heard] == [False, True]


def test_an_answer_brings_its_bytes_raw() -> None:
    service = Service()

    assert read(service.calls()) == READ
    assert service.said[0].endswith(b"\0" + PIECE)


def test_a_service_of_before_is_sent_no_raw_bytes_and_sends_none() -> None:
    service = Service(of=OLDER)
    calls = service.calls()

    answers = (send(calls), send(calls), read(calls))

    assert answers == (SENT, SENT, READ)
    assert service.got == [PIECE, PIECE]
    assert not any(b"\0" in content for content in (*service.heard, *service.said))


def test_who_speaks_the_version_before_gets_no_raw_bytes() -> None:
    args = b'{"name": "new.img", "offset": 0, "length": 256}'

    answer = Service().answer(asked("readImage", args, None, "1.2"), "peer")

    assert codec.raw_of(answer) is None
    form = codec.decode(PieceForm, envelope.read_answer(answer, "r1"), "The answer")
    assert form == READ


def test_after_another_service_has_taken_over_that_is_older_the_next_call_is_not_raw() -> None:
    service = Service()
    calls = service.calls()
    send(calls)
    service.of = OLDER

    with pytest.raises(BadRequest, match="is not understood"):
        send(calls)

    assert send(calls) == SENT


@pytest.mark.parametrize(
    ("call", "args", "words"),
    [
        (
            "pauseVm",
            b'{"instanceId": 3}',
            "What pauseVm was given is not understood: no raw bytes belong to it.",
        ),
        (
            "sendPiece",
            b'{"importId": 1, "number": 0, "content": "AAAA"}',
            "What sendPiece was given is not understood: its bytes came twice.",
        ),
        (
            "sendPiece",
            b'{"importId": 1, "number": 0}',
            "What sendPiece was given is not understood: object missing required field `content`.",
        ),
    ],
)
def test_raw_bytes_where_none_belong_are_refused(call: str, args: bytes, words: str) -> None:
    service = Service()

    with pytest.raises(BadRequest) as refused:
        service.answer(asked(call, args, PIECE), "peer")

    assert refused.value.message == words
    assert service.got == []


def test_an_answer_with_raw_bytes_that_do_not_belong_to_it_is_not_believed() -> None:
    def answer(request: bytes, _peer: object) -> bytes:
        return envelope.write_result(envelope.read_request(request).id, b"[]", b"more")

    calls = to_cluster_manager(DirectLink(answer), Caller(Role.ADMIN))

    with pytest.raises(BadRequest, match=r"The answer to getNetworks .* no raw bytes belong to it"):
        calls.call("getNetworks", tuple[NetworkForm, ...])


def test_a_request_with_raw_bytes_is_named_like_any_other() -> None:
    assert envelope.glance(asked("sendPiece", b"{}", PIECE)) == ("r1", "sendPiece")


def test_an_error_with_raw_bytes_behind_it_is_an_error() -> None:
    answer = envelope.write_error("r1", BadRequest("No."))

    error = envelope.error_in(codec.joined(answer, PIECE))

    assert isinstance(error, BadRequest)
