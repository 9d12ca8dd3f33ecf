"""P15: what proves something is compared in constant time: wherever the program compares it, with `hmac.compare_digest`."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import geumgo

SOURCE = Path(geumgo.__file__).parent
PROOF = re.compile(r"(^|_)(mac|macs|signature|commitment|commit_tag|password_hash|hmac)$")


def named(node: ast.expr) -> str:
    """The last name in an expression: of `claim.signature.encode()` it is `signature`."""
    while True:
        match node:
            case ast.Call(func=ast.Attribute(value=inner, attr="encode" | "hex" | "decode" | "digest")):
                node = inner
            case ast.Subscript(value=inner):
                node = inner
            case ast.Attribute(attr=name) | ast.Name(id=name):
                return name
            case _:
                return ""


def hasty(tree: ast.AST) -> Iterator[int]:
    """The lines that compare a proof with `==` or `!=`, but for a comparison with a literal."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any(isinstance(operator, ast.Eq | ast.NotEq) for operator in node.ops):
            sides = [node.left, *node.comparators]
            if any(isinstance(side, ast.Constant) for side in sides):
                continue
            if any(PROOF.search(named(side)) for side in sides):
                yield node.lineno


def test_no_proof_is_compared_in_haste() -> None:
    found = [
        f"{path.relative_to(SOURCE)}:{line}"
        for path in sorted(SOURCE.rglob("*.py"))
        for line in hasty(ast.parse(path.read_text("utf-8")))
    ]
    assert found == []


def test_a_comparison_in_haste_is_found() -> None:
    hidden = "if mac(message).hex().encode() == claim.signature.encode('latin-1'):\n    pass\nok = row.mac != made[:16]\nx = mac == b''\n"
    assert list(hasty(ast.parse(hidden))) == [1, 3]


def test_what_is_compared_in_constant_time_is_there_to_be_found() -> None:
    """The names that the search knows are those that the program uses."""
    calls = [
        node
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "compare_digest"
    ]
    assert len(calls) >= 5
    assert any(PROOF.search(named(side)) for call in calls for side in call.args)
