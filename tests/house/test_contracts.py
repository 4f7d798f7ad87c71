"""Every port has a suite of promises that all its adapters and fakes must keep."""

import ast
from pathlib import PurePath

from house import exceptions
from house.source import Module, modules, refuse

PORTS = modules("src/tashi/ports")


def defines_a_protocol(module: Module) -> bool:
    return any(
        isinstance(node, ast.ClassDef) and "Protocol" in map(ast.unparse, node.bases)
        for node in module.tree.body
    )


def ports() -> set[str]:
    return {PurePath(module.path).stem for module in PORTS if defines_a_protocol(module)}


def suites() -> set[str]:
    return {PurePath(module.path).stem for module in modules("tests/contracts")}


def without_suite() -> set[str]:
    return {
        port
        for port in ports()
        if not any(s == f"test_{port}" or s.startswith(f"test_{port}_") for s in suites())
    }


def test_every_port_has_a_contract_suite() -> None:
    refuse(
        (
            f"src/tashi/ports/{port}.py"
            for port in sorted(without_suite() - exceptions.PORTS_WITHOUT_CONTRACT)
        ),
        "Write tests/contracts/test_<port>.py and run it over every adapter and every fake.",
    )


def test_no_port_is_excused_without_need() -> None:
    refuse(
        sorted(exceptions.PORTS_WITHOUT_CONTRACT - without_suite()),
        "These have their suite (or are gone): remove them from tests/house/exceptions.py.",
    )
