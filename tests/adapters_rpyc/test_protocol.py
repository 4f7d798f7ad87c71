"""The closed table: what a message may ask for, and that nothing else gets anywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rpyc.core import brine, consts, netref

from adapters_rpyc.raw import call_message
from tashi.adapters.rpyc import protocol
from tashi.adapters.rpyc.plain import Malformed, Plain
from tashi.adapters.rpyc.protocol import Ask, Call, Goodbye, Label, Ours, Refusal, Reply, Sort, Told

METHOD = (Label.YOURS, Ours.METHOD)
ROOT = (Label.YOURS, Ours.ROOT)


def request(handler: Plain, arguments: Plain, number: Plain = 7) -> bytes:
    content: bytes = brine.dump((number, (handler, arguments)))
    return bytes((Sort.REQUEST,)) + content


def passed(*boxed: Plain) -> tuple[int, Plain]:
    return Label.TUPLE, boxed


def told(message: bytes) -> object:
    answer = protocol.understand(message)
    assert isinstance(answer, Told)
    content: object = brine.load(answer.answer[1:])
    return content


def refused(message: bytes) -> bool:
    try:
        answer = protocol.understand(message)
    except Malformed:
        return True
    return isinstance(answer, Told) and answer.answer[0] == Sort.EXCEPTION


def test_our_numbers_are_those_of_rpyc() -> None:
    assert (Sort.REQUEST, Sort.REPLY, Sort.EXCEPTION) == (
        consts.MSG_REQUEST,
        consts.MSG_REPLY,
        consts.MSG_EXCEPTION,
    )
    assert (Label.VALUE, Label.TUPLE, Label.YOURS, Label.MINE) == (
        consts.LABEL_VALUE,
        consts.LABEL_TUPLE,
        consts.LABEL_LOCAL_REF,
        consts.LABEL_REMOTE_REF,
    )
    assert (Ask.PING, Ask.CLOSE, Ask.ROOT, Ask.ATTRIBUTE, Ask.CALL, Ask.RELEASE) == (
        consts.HANDLE_PING,
        consts.HANDLE_CLOSE,
        consts.HANDLE_GETROOT,
        consts.HANDLE_GETATTR,
        consts.HANDLE_CALL,
        consts.HANDLE_DEL,
    )


def test_our_references_need_no_inspection_by_rpyc() -> None:
    assert Ours.ROOT[0] in netref.builtin_classes_cache
    assert Ours.METHOD[0] in netref.builtin_classes_cache


@given(st.integers(0, 10**18), st.binary(max_size=400))
def test_a_call_is_understood_as_it_was_asked(number: int, content: bytes) -> None:
    message = call_message(content, number)

    assert protocol.understand(message) == Call(number, content)


@given(st.integers(0, 10**18), st.binary(max_size=400), st.text(max_size=20))
def test_a_call_of_any_method_is_written_as_rpyc_writes_it(
    number: int, content: bytes, name: str
) -> None:
    method = (name, 2**47, 2**46)
    given = passed((Label.YOURS, method), (Label.VALUE, (content,)), (Label.VALUE, ()))

    written = protocol.ask_call(number, protocol.around_request(method), content)

    assert written == request(Ask.CALL, given, number)


def test_the_small_questions_are_answered_without_the_service() -> None:
    assert told(request(Ask.PING, (Label.VALUE, ("hello",)))) == (7, (Label.VALUE, "hello"))
    assert told(protocol.ask_root(7)) == (7, (Label.MINE, Ours.ROOT))
    assert told(protocol.ask_method(7, Ours.ROOT)) == (7, (Label.MINE, Ours.METHOD))
    assert told(request(Ask.RELEASE, passed(METHOD, (Label.VALUE, 1)))) == (7, (Label.VALUE, None))
    assert protocol.understand(request(Ask.CLOSE, (Label.VALUE, ()))) == Goodbye()


@pytest.mark.parametrize("subject", [ROOT, METHOD])
@pytest.mark.parametrize("handler", [*range(4, 32), 255, -1])
@pytest.mark.parametrize(
    "rest",
    [
        (),
        ("__class__",),
        ("exposed_call",),
        ("__call__", (b"request",), ()),
        ((b"request",), (("name", 1),)),
        ("call", 1),
        (3,),
    ],
)
def test_no_other_question_about_our_objects_is_answered(
    subject: Plain, handler: int, rest: tuple[Plain, ...]
) -> None:
    if handler == Ask.RELEASE:
        return

    assert refused(request(handler, passed(subject, *((Label.VALUE, item) for item in rest))))


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param((), id="none"),
        pytest.param(("text",), id="a text"),
        pytest.param((7,), id="a number"),
        pytest.param((None,), id="None"),
        pytest.param((b"one", b"two"), id="two"),
        pytest.param(((b"one",),), id="a tuple"),
        pytest.param(b"bare", id="no tuple"),
    ],
)
def test_the_method_takes_exactly_one_bytes_value(arguments: Plain) -> None:
    given = passed(METHOD, (Label.VALUE, arguments), (Label.VALUE, ()))

    assert refused(request(Ask.CALL, given))


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(passed(METHOD, (Label.MINE, ("x.Y", 1, 2)), (Label.VALUE, ())), id="netref"),
        pytest.param(
            passed(METHOD, (Label.TUPLE, ((Label.MINE, ("x.Y", 1, 2)),)), (Label.VALUE, ())),
            id="netref in a tuple",
        ),
        pytest.param(
            passed(METHOD, (Label.VALUE, (b"r",)), (Label.VALUE, (("k", 1),))), id="keyword"
        ),
        pytest.param(passed(ROOT, (Label.VALUE, (b"r",)), (Label.VALUE, ())), id="the root"),
        pytest.param(
            passed(
                (Label.YOURS, ("builtins.method", 2, 3)), (Label.VALUE, (b"r",)), (Label.VALUE, ())
            ),
            id="an object never given",
        ),
        pytest.param((Label.VALUE, (b"r",)), id="nothing to call"),
    ],
)
def test_no_other_object_is_called_and_no_reference_accepted(given: Plain) -> None:
    assert refused(request(Ask.CALL, given))


def test_a_ping_is_not_an_amplifier() -> None:
    assert refused(request(Ask.PING, (Label.VALUE, ("x" * 5000,))))


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(b"", id="empty"),
        pytest.param(bytes((Sort.REPLY,)) + brine.dump((1, (Label.VALUE, b"x"))), id="a reply"),
        pytest.param(bytes((Sort.EXCEPTION,)) + brine.dump((1, 1)), id="an exception"),
        pytest.param(b"\x09" + brine.dump((1, (Ask.ROOT, (Label.VALUE, ())))), id="another sort"),
        pytest.param(bytes((Sort.REQUEST,)) + brine.dump("hello"), id="no pair"),
        pytest.param(request("call", ()), id="a handler by name"),
        pytest.param(request(Ask.ROOT, (), number="one"), id="a number that is none"),
    ],
)
def test_what_no_client_says_ends_the_connection(message: bytes) -> None:
    with pytest.raises(Malformed):
        protocol.understand(message)


@given(st.binary(max_size=100), st.integers(0, 60), st.binary(min_size=1, max_size=4))
def test_no_bytes_whatever_get_past_the_table(noise: bytes, at: int, bent: bytes) -> None:
    honest = call_message(b"request", 7)

    for message in (noise, b"\x01" + noise, honest[:at] + bent + honest[at + len(bent) :]):
        try:
            answer = protocol.understand(message)
        except Malformed:
            continue
        assert isinstance(answer, Call | Told | Goodbye)


def test_an_answer_is_a_value_or_a_reference_and_nothing_else() -> None:
    assert protocol.hear(protocol.reply(7, b"done")) == Reply(7, b"done")
    assert protocol.hear(b"\x02" + brine.dump((7, (Label.MINE, ("x.Y", 1, 2))))) == Reply(
        7, ("x.Y", 1, 2)
    )
    assert protocol.hear(request(Ask.CLOSE, (Label.VALUE, ()))) == Goodbye()


def test_a_refusal_carries_its_words() -> None:
    answer = protocol.understand(request(Ask.PING, ()))

    assert isinstance(answer, Told)
    assert protocol.hear(answer.answer) == Refusal(
        7, "There is nothing here but call(request), with exactly one bytes value."
    )
    assert protocol.hear(b"\x03" + brine.dump((7, 1))) == Refusal(7, "no reason given")


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(request(Ask.ATTRIBUTE, passed(ROOT, (Label.VALUE, "x"))), id="a request"),
        pytest.param(request(Ask.PING, (Label.VALUE, ("x",))), id="a ping"),
        pytest.param(b"\x02" + brine.dump((7, (Label.VALUE, "text"))), id="a text"),
        pytest.param(b"\x02" + brine.dump((7, (Label.YOURS, ("x.Y", 1, 2)))), id="ours"),
        pytest.param(b"\x02" + brine.dump((7, (Label.TUPLE, ()))), id="a tuple"),
        pytest.param(b"\x04" + brine.dump((7, (Label.VALUE, b"x"))), id="another sort"),
        pytest.param(b"", id="empty"),
    ],
)
def test_a_caller_hears_nothing_but_answers(message: bytes) -> None:
    with pytest.raises(Malformed):
        protocol.hear(message)
