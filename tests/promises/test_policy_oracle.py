"""P12: two evaluators that share no code give the same answer to every question.

The product's is held against `tests.oracle`, which was written from AWS's documentation alone. ORACLE_WORLDS is the
number of worlds (100,000 unless set, which take half a minute on one free core), ORACLE_SEED the stream that they come from.
The long form, for a night: `ORACLE_WORLDS=50000000 ORACLE_SEED=$RANDOM pytest tests/promises/test_policy_oracle.py -s`.
"""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from geumgo.domain.policy import Decision, MalformedPolicy, PolicyKind, compile_policy
from tests.oracle import product
from tests.oracle.evaluator import decide
from tests.oracle.rules import AS_DOCUMENTED, MUTANTS, Rules
from tests.oracle.shrink import shrunk
from tests.oracle.worlds import Maker, World

WORLDS = int(os.environ.get("ORACLE_WORLDS", "100000"))
SEED = int(os.environ.get("ORACLE_SEED", "20261124"))
WORLDS_UNTIL_A_MUTANT_IS_SEEN = 20_000
MOST_REFUSED = 0.05  # of all worlds: a generator whose documents are refused tests the parser, not the evaluator
LEAST_ALLOWED = 0.15
FINDINGS: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "oracle" / "findings.json").read_text("utf-8"))


def test_both_evaluators_agree_on_every_world() -> None:
    maker, reasons, refused = Maker(SEED), Counter[str](), 0
    for number in range(WORLDS):
        world = maker.world()
        try:
            theirs = product.decided(world)
        except MalformedPolicy:
            refused += 1
            continue
        reasons[theirs.reason.name] += 1
        if product.disagree(theirs, decide(world)):
            pytest.fail(told(world, number))
    allowed = sum(count for reason, count in reasons.items() if reason.startswith("ALLOWED"))
    print(f"\n{WORLDS} worlds of seed {SEED}: 0 disagreements, {allowed} allowed, {refused} refused; {dict(reasons)}")
    assert refused <= WORLDS * MOST_REFUSED
    assert allowed >= WORLDS * LEAST_ALLOWED


def told(world: World, number: int) -> str:
    """The disagreement, as small as it gets, with both answers."""
    small = made_small(world, AS_DOCUMENTED)
    ours = decide(small)
    return (
        f"world {number} of seed {SEED}, made smaller:\n{json.dumps(small, indent=1, ensure_ascii=False)}\n"
        f"product: {product.decided(small)}\noracle: {ours.allowed}, because of one of {sorted(ours.because)}"
    )


def made_small(world: World, rules: Rules) -> World:
    """The smallest world with the same kind of disagreement: over the answer, or over nothing but its reason."""
    over_the_answer = product.decided(world).allowed is not decide(world, rules).allowed

    def still(smaller: World) -> bool:
        try:
            theirs, ours = product.decided(smaller), decide(smaller, rules)
        except MalformedPolicy:
            return False
        return theirs.allowed is not ours.allowed if over_the_answer else product.disagree(theirs, ours)

    return shrunk(world, still)


@pytest.fixture(scope="module")
def decided_worlds() -> list[tuple[World, Decision]]:
    """The worlds that every mutant is shown, with the product's answers."""
    maker, decided = Maker(SEED), []
    for _ in range(WORLDS_UNTIL_A_MUTANT_IS_SEEN):
        world = maker.world()
        try:
            decided.append((world, product.decided(world)))
        except MalformedPolicy:
            continue
    return decided


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_rule_is_noticed(name: str, decided_worlds: list[tuple[World, Decision]]) -> None:
    rules: Rules = MUTANTS[name]
    assert rules != AS_DOCUMENTED
    assert any(theirs.allowed is not decide(world, rules).allowed for world, theirs in decided_worlds), name


def test_a_disagreement_is_shown_as_a_small_world(decided_worlds: list[tuple[World, Decision]]) -> None:
    rules = MUTANTS["boundary_limits"]
    world = next(world for world, theirs in decided_worlds if theirs.allowed is not decide(world, rules).allowed)
    small = made_small(world, rules)
    assert product.decided(small).allowed is False
    assert decide(small, rules).allowed is True
    assert len(small["identity"]) <= 1
    assert "Condition" not in json.dumps(small["identity"])
    assert small["session"] is None or small["principal"]["kind"] == "FederatedUser"
    assert len(json.dumps(small)) < len(json.dumps(world))


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: finding["sentence"])
def test_a_finding_is_settled_as_documented(finding: dict[str, Any], request: pytest.FixtureRequest) -> None:
    """An `open` finding is where the product still differs: the one who mends it sets the field to false."""
    if finding["open"]:
        request.applymarker(pytest.mark.xfail(reason=finding["source"], strict=True))
    if "document" in finding:
        with pytest.raises(MalformedPolicy):
            compile_policy(json.dumps(finding["document"]), PolicyKind[finding["kind"]])
    else:
        assert product.decided(finding["world"]).allowed is finding["allowed"]
        assert decide(finding["world"]).allowed is finding["allowed"]
