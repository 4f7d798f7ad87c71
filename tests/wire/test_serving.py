"""What every call meets at the desk of a service, whatever bytes arrive there."""

from concurrent.futures import Future

import pytest

from tashi.domain.errors import BadRequest, Broken, Failed, NoRoom, NotPermitted, VersionMismatch
from tashi.domain.identity import UserId
from tashi.domain.permissions import Caller, Role
from tashi.wire import envelope, versions
from tashi.wire.methods import CLUSTER_MANAGER, Row
from tashi.wire.serving import Deed, Desk

PEER = "127.0.0.1:4711"
ROWS: Row = {name: CLUSTER_MANAGER[name] for name in ("pauseVm", "delHost", "placeVms")}


class Office:
    """Handlers that remember what they were asked; `result` is what each of them answers."""

    def __init__(self, result: object = None) -> None:
        self.asked: list[tuple[Caller, str, dict[str, object]]] = []
        self.result = result

    def desk(self) -> Desk:
        return Desk(ROWS, dict.fromkeys(ROWS, self._note), versions.CLUSTER_MANAGER)

    def _note(self, caller: Caller, request_id: str, **arguments: object) -> object:
        self.asked.append((caller, request_id, arguments))
        return self.result


def request(
    call: str = "pauseVm",
    args: bytes = b'{"instanceId": 3}',
    version: str = str(versions.CLUSTER_MANAGER.version),
    who: Caller = envelope.NOBODY,
) -> bytes:
    return envelope.write_request(version, "r1", call, args, who)


def test_a_handler_gets_who_calls_the_id_and_the_arguments_by_their_python_names() -> None:
    office = Office(result=True)

    answer = office.desk().answer(request(who=Caller(Role.USER, UserId(7))), PEER)

    assert office.asked == [(Caller(Role.USER, UserId(7), "user 7"), "r1", {"instance_id": 3})]
    assert answer == envelope.write_result("r1", b"true")


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (b"{}", "instanceId"),
        (b'{"instanceId": "3"}', "int"),
        (b'{"instanceId": 3, "force": true}', "force"),
        (b"[3]", "object"),
    ],
)
def test_arguments_that_do_not_fit_the_row_are_refused_unhandled(
    args: bytes, complaint: str
) -> None:
    office = Office()

    with pytest.raises(BadRequest, match=rf"What pauseVm was given .*{complaint}"):
        office.desk().answer(request(args=args), PEER)
    assert office.asked == []


def test_a_call_without_a_row_is_refused_by_its_name() -> None:
    with pytest.raises(BadRequest) as caught:
        Office().desk().answer(request("eject\n"), PEER)

    assert caught.value.message == (
        "The cluster manager answers no call 'eject\ufffd': another program does, at another port, "
        "or another version of this one."
    )


def test_a_version_too_far_away_is_refused() -> None:
    with pytest.raises(VersionMismatch):
        Office().desk().answer(request(version="2.0"), PEER)


@pytest.mark.parametrize(
    ("call", "args", "who"),
    [
        ("delHost", b'{"hostId": 1}', Caller(Role.USER, UserId(7))),
        ("placeVms", b'{"proposals": []}', Caller(Role.USER, UserId(0))),
        ("placeVms", b'{"proposals": []}', Caller(Role.NODE)),
    ],
)
def test_a_caller_for_whom_the_call_is_not_there_is_refused_unhandled(
    call: str, args: bytes, who: Caller
) -> None:
    office = Office()

    with pytest.raises(NotPermitted, match=call):
        office.desk().answer(request(call, args, who=who), PEER)
    assert office.asked == []


@pytest.mark.parametrize(
    ("call", "args", "who"),
    [
        ("delHost", b'{"hostId": 1}', Caller(Role.USER, UserId(0))),
        ("placeVms", b'{"proposals": []}', Caller(Role.SCHEDULER)),
    ],
)
def test_a_caller_for_whom_the_call_is_there_is_let_in(call: str, args: bytes, who: Caller) -> None:
    office = Office()

    office.desk().answer(request(call, args, who=who), PEER)

    assert len(office.asked) == 1


def test_a_daemon_is_named_with_the_place_it_calls_from() -> None:
    office = Office()

    office.desk().answer(
        request(call="placeVms", args=b'{"proposals": []}', who=Caller(Role.SCHEDULER)), PEER
    )

    assert office.asked[0][0].name == "scheduler at 127.0.0.1:4711"


def test_a_handler_that_has_to_wait_answers_when_its_future_is_done() -> None:
    waiting: Future[object] = Future()
    answer = Office(waiting).desk().answer(request(), PEER)
    assert isinstance(answer, Future)
    assert not answer.done()

    waiting.set_result({"fine": 1})

    assert answer.result(timeout=0) == envelope.write_result("r1", b'{"fine":1}')


@pytest.mark.parametrize("error", [NoRoom("Full."), ValueError("a bug")])
def test_an_error_of_the_future_is_the_error_of_the_answer(error: Exception) -> None:
    waiting: Future[object] = Future()
    answer = Office(waiting).desk().answer(request(), PEER)
    assert isinstance(answer, Future)

    waiting.set_exception(error)

    assert answer.exception(timeout=0) is error


def test_work_that_was_called_off_is_answered_all_the_same() -> None:
    waiting: Future[object] = Future()
    answer = Office(waiting).desk().answer(request(), PEER)
    assert isinstance(answer, Future)

    waiting.cancel()

    assert isinstance(answer.exception(timeout=0), Failed)


def test_a_result_that_cannot_be_written_leaves_nobody_waiting() -> None:
    waiting: Future[object] = Future()
    answer = Office(waiting).desk().answer(request(), PEER)
    assert isinstance(answer, Future)

    waiting.set_result(object())

    assert isinstance(answer.exception(timeout=0), TypeError)


def test_rows_and_handlers_that_do_not_match_are_noticed_at_the_start() -> None:
    with pytest.raises(Broken, match=r"delHost, placeVms, sing\.$"):
        Desk(ROWS, {"pauseVm": print, "sing": print}, versions.CLUSTER_MANAGER)


def test_what_may_be_asked_about_later_is_noted_with_how_it_ended() -> None:
    noted: list[tuple[Deed, object, BaseException | None]] = []
    waiting: Future[object] = Future()
    office = Office(waiting)
    handlers = dict.fromkeys(ROWS, office._note)
    desk = Desk(ROWS, handlers, versions.CLUSTER_MANAGER, note=lambda *told: noted.append(told))
    ada = Caller(Role.USER, UserId(7))

    desk.answer(request(who=ada), PEER)
    told_early = list(noted)
    waiting.set_result({"fine": 1})
    with pytest.raises(NotPermitted):
        desk.answer(request("delHost", b'{"hostId": 1}', who=ada), PEER)

    (done, result, error), (refused, _, refusal) = noted
    assert told_early == []
    assert (done.call, done.caller.user_id, done.peer) == ("pauseVm", 7, PEER)
    assert (getattr(done.arguments, "instance_id", None), result, error) == (3, {"fine": 1}, None)
    assert (refused.call, refused.arguments) == ("delHost", None)
    assert isinstance(refusal, NotPermitted)


def test_a_call_that_was_called_off_is_noted_as_one_that_failed() -> None:
    noted: list[tuple[Deed, object, BaseException | None]] = []
    waiting: Future[object] = Future()
    handlers = dict.fromkeys(ROWS, Office(waiting)._note)
    desk = Desk(ROWS, handlers, versions.CLUSTER_MANAGER, note=lambda *told: noted.append(told))

    desk.answer(request(who=Caller(Role.USER, UserId(7))), PEER)
    waiting.cancel()

    assert isinstance(noted[0][2], Failed)


def test_a_handler_is_given_whom_the_desk_identifies() -> None:
    office, grace = Office(True), Caller(Role.ADMIN, UserId(8), "grace")
    handlers = dict.fromkeys(ROWS, office._note)
    desk = Desk(ROWS, handlers, versions.CLUSTER_MANAGER, identify=lambda _request, _peer: grace)

    desk.answer(request("delHost", b'{"hostId": 1}'), PEER)

    assert office.asked[0][0] is grace
