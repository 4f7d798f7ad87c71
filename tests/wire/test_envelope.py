"""The envelope around calls and answers, and errors that keep their meaning on the way."""

import pytest

from tashi.domain import errors
from tashi.domain.identity import UserId
from tashi.domain.permissions import Caller, Role
from tashi.wire import envelope


def error_of(content: bytes) -> errors.TashiError:
    with pytest.raises(errors.TashiError) as caught:
        envelope.read_answer(content, "7")
    return caught.value


def test_a_request_comes_out_as_it_went_in() -> None:
    written = envelope.write_request("1.0", "7", "createVm", b'{"name":"web"}')

    request = envelope.read_request(written)

    assert (request.v, request.id, request.call) == ("1.0", "7", "createVm")
    assert bytes(request.args) == b'{"name":"web"}'
    assert written == b'{"v":"1.0","id":"7","call":"createVm","args":{"name":"web"}}'


def test_a_request_says_who_makes_it() -> None:
    scheduler = Caller(Role.SCHEDULER, UserId(0))

    request = envelope.read_request(envelope.write_request("1.0", "7", "why", b"{}", scheduler))

    assert (request.role, request.user) == (Role.SCHEDULER, 0)


def test_a_request_that_does_not_say_who_makes_it_is_some_users() -> None:
    request = envelope.read_request(envelope.write_request("1.0", "7", "why"))

    assert (request.role, request.user) == (Role.USER, None)


def test_a_call_without_arguments_may_leave_them_out() -> None:
    request = envelope.read_request(b'{"v":"1.0","id":"7","call":"getHosts"}')

    assert bytes(request.args) == b"{}"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"v":"1.0","id":"7"}',
        b'{"v":1.0,"id":"7","call":"getHosts"}',
        b'{"v":"1.0","id":7,"call":"getHosts"}',
        b'{"v":"1.0","id":"7","call":"getHosts","also":1}',
        b'{"v":"1.0","id":"' + b"7" * 101 + b'","call":"getHosts"}',
        b'{"v":"1.0","id":"7","call":"getHosts","args":' + b"[" * 100_000,
    ],
)
def test_what_is_no_request_is_a_bad_request(content: bytes) -> None:
    with pytest.raises(errors.BadRequest, match=r"^The request is not understood: .*\.$"):
        envelope.read_request(content)


def test_a_result_comes_out_as_it_went_in() -> None:
    written = envelope.write_result("7", b"[1,2]")

    assert written == b'{"id":"7","ok":[1,2]}'
    assert bytes(envelope.read_answer(written, "7")) == b"[1,2]"


def test_a_call_may_have_nothing_to_say() -> None:
    assert bytes(envelope.read_answer(envelope.write_result("7"), "7")) == b"null"


def test_an_error_keeps_its_kind_words_and_ids() -> None:
    refused = errors.NoRoom("Host 3 has no room.", host=3, rule="memory")

    written = envelope.write_error("7", refused)
    error = error_of(written)

    assert written == (
        b'{"id":"7","error":{"errno":102,"kind":"NoRoom","msg":"Host 3 has no room.",'
        b'"about":{"host":3,"rule":"memory"}}}'
    )
    assert type(error) is errors.NoRoom
    assert error.message == str(error) == "Host 3 has no room."
    assert error.about == {"host": 3, "rule": "memory"}


def test_an_error_of_python_crosses_as_broken_without_its_details() -> None:
    error = error_of(envelope.write_error("7", KeyError("secret")))

    assert type(error) is errors.Broken
    assert "secret" not in error.message


@pytest.mark.parametrize(
    ("errno", "family"),
    [
        (2, errors.Refused),
        (13, errors.Failed),
        (199, errors.Refused),
        (250, errors.Failed),
        (300, errors.Misconfigured),
        (1, errors.Broken),
        (0, errors.TashiError),
        (999, errors.TashiError),
    ],
)
def test_an_unknown_kind_becomes_the_family_of_its_number(
    errno: int, family: type[errors.TashiError]
) -> None:
    form = envelope.ErrorForm(errno, "FromTheFuture", "No.")

    assert type(envelope.error_from(form)) is family


def test_a_peer_cannot_forge_an_error_by_its_ids() -> None:
    form = envelope.ErrorForm(2, "NoSuchInstance", "No.", {"message": "x", "self": "y"})

    error = envelope.error_from(form)

    assert error.message == "No."
    assert error.about == {"message": "x", "self": "y"}


def test_words_of_a_peer_are_safe_to_print() -> None:
    form = envelope.ErrorForm(2, "NoSuchInstance", "No.\x1b[2J\nroot:")

    assert envelope.error_from(form).message.isprintable()


@pytest.mark.parametrize(
    "content", [b"", b"7", b'{"id":"7"}', b'{"id":"8","ok":1}', b'{"id":"7","ok":1,"x":1}']
)
def test_what_is_no_answer_to_the_call_is_not_taken_for_one(content: bytes) -> None:
    with pytest.raises(errors.BadRequest, match="The answer is not understood"):
        envelope.read_answer(content, "7")


@pytest.mark.parametrize(
    ("content", "seen"),
    [
        (b'{"v":"1.0","id":"7","call":"getHosts"}', ("7", "getHosts")),
        (b'{"id":"7\\n"}', ("7�", "a request")),
        (b"\xff", ("", "a request")),
    ],
)
def test_a_glance_never_fails(content: bytes, seen: tuple[str, str]) -> None:
    assert envelope.glance(content) == seen
