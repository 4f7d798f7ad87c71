"""An instance's state changes in one place."""

import ast

from house.source import modules, refuse

# Where a record is made or read back, its state is not a change.
MAKERS = (
    "tashi.domain.transitions",  # the table: the one place of change
    "tashi.domain.admission",  # a new instance is Pending
    "tashi.wire",  # forms of records
    "tashi.adapters.store",  # records that were stored
    "tashi.nodemanager.guests",  # the node's own smaller table, of guests
    "tashi.clustermanager.hosts",  # hosts have three states and no table
    "tashi.clustermanager.nodes",  # see above
)
RECORDS = {"Instance", "InstanceForm"}


def makes_or_changes_a_record(call: ast.Call) -> bool:
    name = ast.unparse(call.func).rpartition(".")[2]
    return name in {"replace", *RECORDS}


def test_only_the_table_of_transitions_sets_a_state() -> None:
    refuse(
        (
            module.at(node, ast.unparse(node)[:80])
            for module in modules("src")
            if not module.is_in(*MAKERS)
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Call) and makes_or_changes_a_record(node)
            for keyword in node.keywords
            if keyword.arg == "state" and "HostState" not in ast.unparse(keyword.value)
        ),
        "Say what happened as an event and let domain/transitions.py decide the state.",
    )


def test_no_state_is_assigned() -> None:
    refuse(
        (
            module.at(node, ast.unparse(node)[:80])
            for module in modules("src")
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and node.attr == "state"
            and ast.unparse(node.value) != "self"
        ),
        "Records are frozen: make an event, take the step's record.",
    )
