"""The table of transitions as a whole, and the engine that reads it."""

from collections import Counter
from pathlib import Path

import pytest

from domain.befalling import a_record, an_event, kinds, records_in
from tashi.domain import events as e
from tashi.domain import notices as n
from tashi.domain.alterations import Rename
from tashi.domain.edits import EDITS, Edit
from tashi.domain.errors import Broken, IncorrectState
from tashi.domain.identity import Operation
from tashi.domain.instance import Instance
from tashi.domain.instructions import Ask
from tashi.domain.states import InstanceState, Phase, facts
from tashi.domain.transitions import ON_HOST, RULES, TABLE, Rule, Then, commands_in, step

_S = InstanceState
REFUSED = Path(__file__).with_name("refused.txt")

# Pairs that the reconciliation never makes: it asks first how many hosts are in the record.
OF_TWO_HOSTS = {e.OneGone}
OF_ONE_HOST = {
    (_S.MIGRATE_TRANS, e.GoneRestart),
    (_S.MIGRATE_TRANS, e.GoneStop),
    (_S.MIGRATE_TRANS, e.GoneForget),
    (_S.DESTROYING, e.GoneForget),
    (_S.DESTROYING, e.GuestExited),
    (_S.DESTROYING, e.Saved),
}


def leads_to(rule: Rule, before: InstanceState) -> set[InstanceState]:
    if rule.then is Then.SAME:
        return {before}
    return ON_HOST if rule.then is Then.WAS else {rule.then}


def reachable(start: InstanceState) -> set[InstanceState]:
    found, fresh = {start}, {start}
    while fresh:
        fresh = {
            then
            for (before, _), rule in RULES.items()
            if before in fresh
            for then in leads_to(rule, before)
        } - found
        found |= fresh
    return found


def cases() -> list[tuple[Instance, type[e.Event]]]:
    """Every row, with every record that it may be read for."""
    return [
        (record, kind)
        for state, kind in RULES
        for record in records_in(state)
        if not (kind in OF_TWO_HOSTS and len(record.hosts) == 1)
        if not ((state, kind) in OF_ONE_HOST and len(record.hosts) > 1)
    ]


# ---- the table ----------------------------------------------------------------------------------


def test_no_state_and_event_have_two_rows() -> None:
    pairs = Counter((state, rule.on) for rule in TABLE for state in rule.when)

    assert [pair for pair, times in pairs.items() if times > 1] == []


def test_every_state_can_be_reached_from_pending() -> None:
    assert reachable(_S.PENDING) == set(InstanceState)


@pytest.mark.parametrize("state", InstanceState)
def test_from_every_state_there_is_a_way_to_the_end(state: InstanceState) -> None:
    assert _S.EXITED in reachable(state)


def test_nothing_leads_back_from_the_end() -> None:
    assert reachable(_S.EXITED) == {_S.EXITED}


@pytest.mark.parametrize("state", InstanceState)
def test_what_moves_has_an_order_a_patience_and_is_told_again(state: InstanceState) -> None:
    moves = facts(state).phase is Phase.MOVING

    assert (facts(state).patience is not None) == moves
    assert ((state, e.Overdue) in RULES) == moves
    assert facts(state).order is not None or not moves


def test_what_is_late_is_told_again_and_stays_as_it_is() -> None:
    late = [rule for rule in TABLE if rule.on is e.Overdue]

    assert [(rule.then, rule.books, rule.orders) for rule in late] == [
        (Then.SAME, (), (Ask.REPEAT,))
    ]


def test_only_its_host_and_its_owner_bring_an_orphan_anywhere() -> None:
    about_others = {e.Cleared, e.LeftoversLost, n.BookAddresses, n.SiteTold, n.Discarded, n.Deleted}
    kinds_of_orphans = {kind for state, kind in RULES if state is _S.ORPHANED}

    assert kinds_of_orphans - about_others == {e.HostBack, e.Destroy}
    assert {RULES[_S.ORPHANED, kind].then for kind in about_others} == {Then.SAME}


def test_what_is_on_a_host_is_orphaned_with_it() -> None:
    orphaned = {state for state, kind in RULES if kind is e.HostLost}
    on_host = {state for state in InstanceState if facts(state).hosts - {0}}

    assert orphaned == on_host - {_S.DESTROYING, _S.ORPHANED}
    assert orphaned == ON_HOST


def test_every_kind_of_event_has_a_row_but_those_that_are_turned_into_others() -> None:
    assert set(kinds(e.Event)) - {rule.on for rule in TABLE} == {e.GuestEnded}


def test_every_edit_and_every_order_is_in_the_table() -> None:
    assert {edit for rule in TABLE for edit in rule.books} == set(Edit) == set(EDITS)
    assert {ask for rule in TABLE for ask in rule.orders} == set(Ask)


def test_a_state_that_has_an_order_gives_it_when_it_is_entered() -> None:
    silent = [
        rule
        for rule in TABLE
        if isinstance(rule.then, InstanceState) and facts(rule.then).order and not rule.orders
    ]

    assert silent == []


def test_commands_are_refused_where_they_always_were() -> None:
    refused = "".join(
        f"{kind.__name__}: "
        + ", ".join(state.title for state in InstanceState if kind not in commands_in(state))
        + "\n"
        for kind in kinds(e.Command)
        if issubclass(kind, e.Command)
    )

    assert refused == REFUSED.read_text(), "If this is meant, write it to tests/domain/refused.txt."


@pytest.mark.parametrize("kind", kinds(e.Command))
def test_every_command_is_legal_somewhere(kind: type[e.Event]) -> None:
    assert any(kind in commands_in(state) for state in InstanceState)


# ---- the engine ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "kind"), cases(), ids=str)
def test_every_row_leaves_a_record_that_its_state_allows(
    before: Instance, kind: type[e.Event]
) -> None:
    after = step(before, an_event(kind)).record

    assert len(after.hosts) in facts(after.state).hosts
    assert (after.was is None) == (after.state is not _S.ORPHANED)
    assert after.id == before.id


def test_a_row_that_would_forget_a_host_is_a_mistake_of_ours() -> None:
    with pytest.raises(Broken, match=r"instance 1 .* would be .* on 1 hosts"):
        step(a_record(_S.DESTROYING, 2), an_event(e.GuestExited))


def test_an_orphan_goes_back_to_what_it_was() -> None:
    paused = a_record(_S.PAUSED, 1)

    orphan = step(paused, an_event(e.HostLost)).record
    back = step(orphan, an_event(e.HostBack)).record

    assert (orphan.state, orphan.was) == (_S.ORPHANED, _S.PAUSED)
    assert (back.state, back.was) == (_S.PAUSED, None)


def test_an_orphan_that_was_nothing_is_a_mistake_of_ours() -> None:
    with pytest.raises(Broken, match="does not say what it was"):
        step(a_record(_S.ORPHANED, 1), an_event(e.HostBack))


def test_a_command_gives_the_record_its_operation() -> None:
    after = step(a_record(_S.RUNNING, 1), e.Pause(Operation(9))).record

    assert after.operation == 9


def test_cancelling_keeps_the_operation_that_it_cancels() -> None:
    after = step(a_record(_S.MIGRATE_TRANS, 2), e.CancelMigrate(Operation(9))).record

    assert after.operation == 7


def test_a_report_says_why_and_a_command_clears_the_reason() -> None:
    held = step(a_record(_S.ACTIVATING, 1), an_event(e.StartFailed, words="no disk")).record
    silent = step(held, an_event(e.Place)).record

    assert held.reason == "no disk"
    assert silent.reason == ""


def test_a_report_without_words_keeps_the_reason() -> None:
    before = a_record(_S.ACTIVATING, 1, reason="tried before")

    after = step(before, an_event(e.Started, words="")).record

    assert after.reason == "tried before"


@pytest.mark.parametrize(
    "kind",
    sorted({*kinds(e.Report), *kinds(e.Observation)} - {e.Cleared, e.LeftoversLost}, key=str),
)
def test_what_does_not_fit_is_stale_and_changes_nothing(kind: type[e.Event]) -> None:
    unfit = next(state for state in _S if (state, kind) not in RULES)
    before = records_in(unfit)[0]

    result = step(before, an_event(kind))

    assert result.stale
    assert result.record is before
    assert result.instructions == ()


def test_a_command_that_does_not_fit_is_refused_with_what_would() -> None:
    with pytest.raises(IncorrectState) as refused:
        step(a_record(_S.PAUSED, 1), e.Pause(Operation(9)))

    assert refused.value.message == (
        "pauseVm does not fit: instance 1 (i1) is Paused, and would have to be Running."
    )
    assert refused.value.about == {"instance": 1}


def test_what_is_possible_is_said_where_that_is_shorter() -> None:
    with pytest.raises(IncorrectState, match="is Activating, where you can destroyVm it"):
        step(a_record(_S.ACTIVATING, 1), Rename(Operation(9), "web"))


def test_placing_is_not_offered_to_people() -> None:
    with pytest.raises(IncorrectState) as refused:
        step(a_record(_S.PENDING), e.Pause(Operation(9)))

    assert "Place" not in refused.value.message


def test_where_no_command_fits_one_can_only_wait() -> None:
    with pytest.raises(IncorrectState, match="is Exited, where you can only wait"):
        step(a_record(_S.EXITED), e.Destroy(Operation(9)))


def test_every_line_of_accounting_is_one_that_tashi_had_or_begins_like_it() -> None:
    assert all(rule.line == "" or rule.line.startswith("CM VM ") for rule in TABLE)
