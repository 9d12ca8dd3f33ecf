"""Labels: fourteen histories recorded on AWS, the rules of moving, and what holds whatever is done."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geumgo.errors import ServiceError
from geumgo.services.secretsmanager.domain import MOST_LABELS, attach, move_label
from tests.services.secretsmanager.asking import put, refused, token

C, PR, PE = "AWSCURRENT", "AWSPREVIOUS", "AWSPENDING"

Put = tuple[int, list[str] | None]
Move = tuple[str, int | None, int | None]

TWO: list[Any] = [(1, [PE]), (C, 0, 1)]
FOUR: list[Any] = [*TWO, (2, [PE])]
SIX: list[Any] = [(1, ["AWSSOMETHING", PE, "PUT1"]), (C, 0, 1)]
EIGHT: list[Any] = [(1, [C, "PUT0"])]

HISTORIES: dict[str, tuple[list[Any], dict[int, list[str]]]] = {
    "1 update": ([("update", 1)], {0: [PR], 1: [C]}),
    "2 pending, then current": (TWO, {0: [PR], 1: [C, PE]}),
    "3 then a plain put": ([*TWO, (2, None)], {1: [PR], 2: [C]}),
    "4 then another pending": (FOUR, {0: [PR], 1: [C], 2: [PE]}),
    "5 then that one current": ([*FOUR, (C, 1, 2)], {1: [PR], 2: [C, PE]}),
    "6 labels of one's own": (SIX, {0: [PR], 1: [C, PE, "AWSSOMETHING", "PUT1"]}),
    "7 they stay when current moves": (
        [*SIX, (2, [PE, "PUT2"]), (C, 1, 2)],
        {1: [PR, "AWSSOMETHING", "PUT1"], 2: [C, PE, "PUT2"]},
    ),
    "8 current with one's own": (EIGHT, {0: [PR], 1: [C, "PUT0"]}),
    "9 an own label keeps a version listed": (
        [*EIGHT, (2, [PE, "PUT1"]), (C, 1, 2), (3, [PE, "PUT2"]), (C, 2, 3)],
        {1: ["PUT0"], 2: [PR, "PUT1"], 3: [C, PE, "PUT2"]},
    ),
    "10 all labels taken over": (
        [(1, ["one", "two", "three"]), (2, ["one", "two", "three", "four"])],
        {0: [C], 2: ["four", "one", "three", "two"]},
    ),
    "11 some labels taken over": (
        [(1, ["one", "two", "three"]), (2, ["one", "two", "four"])],
        {0: [C], 1: ["three"], 2: ["four", "one", "two"]},
    ),
    "12 a label comes off": ([(1, ["PENDING"]), (C, 0, 1), ("PENDING", 1, None)], {0: [PR], 1: [C]}),
    "13 current jumps over the others": (
        [(1, ["S0", "S1"]), (2, ["S0", "S1"]), (3, [PE]), (4, [C])],
        {0: [PR], 2: ["S0", "S1"], 3: [PE], 4: [C]},
    ),
    "14 three plain puts": ([(1, None), (2, None), (3, None)], {2: [PR], 3: [C]}),
}


def play(sm: Any, steps: list[Any]) -> None:
    for step in steps:
        match step:
            case ("update", number):
                sm.update_secret(SecretId="s", SecretString=str(number), ClientRequestToken=token(number))
            case (str(label), removed_from, moved_to):
                versions = {"RemoveFromVersionId": removed_from, "MoveToVersionId": moved_to}
                given_ids = {name: token(number) for name, number in versions.items() if number is not None}
                sm.update_secret_version_stage(SecretId="s", VersionStage=label, **given_ids)
            case (int(number), labels):
                put(sm, number, labels)


@pytest.mark.parametrize("history", HISTORIES)
def test_a_history_ends_as_it_did_on_aws(sm: Any, history: str) -> None:
    steps, expected = HISTORIES[history]
    sm.create_secret(Name="s", SecretString="0", ClientRequestToken=token(0))
    play(sm, steps)
    labels = {token(number): sorted(worn) for number, worn in expected.items()}
    listed = {v["VersionId"]: v["VersionStages"] for v in sm.list_secret_version_ids(SecretId="s")["Versions"]}
    assert listed == labels
    assert sm.describe_secret(SecretId="s")["VersionIdsToStages"] == labels
    assert sm.list_secrets()["SecretList"][0]["SecretVersionsToStages"] == labels
    current = next(number for number, worn in expected.items() if C in worn)
    read = sm.get_secret_value(SecretId="s")
    assert (read["SecretString"], read["VersionStages"]) == (str(current), sorted(expected[current]))


def test_a_version_without_labels_is_listed_on_demand_and_read_by_id(sm: Any) -> None:
    sm.create_secret(Name="s", SecretString="0", ClientRequestToken=token(0))
    play(sm, HISTORIES["14 three plain puts"][0])
    versions = {v["VersionId"]: v for v in sm.list_secret_version_ids(SecretId="s", IncludeDeprecated=True)["Versions"]}
    assert set(versions) == {token(number) for number in range(4)}
    assert "VersionStages" not in versions[token(0)]
    assert "VersionStages" not in versions[token(1)]
    read = sm.get_secret_value(SecretId="s", VersionId=token(0))
    assert read["SecretString"] == "0"
    assert "VersionStages" not in read


def test_versions_come_in_pages(house: Any, sm: Any) -> None:
    sm.create_secret(Name="s", SecretString="0", ClientRequestToken=token(0))
    for number in range(1, 5):
        house.clock.turn(ms=1)
        put(sm, number)
    seen: list[str] = []
    asked: dict[str, Any] = {}
    while True:
        page = sm.list_secret_version_ids(SecretId="s", IncludeDeprecated=True, MaxResults=2, **asked)
        seen += [v["VersionId"] for v in page["Versions"]]
        if "NextToken" not in page:
            break
        asked = {"NextToken": page["NextToken"]}
    assert seen == [token(number) for number in range(5)]
    with refused("InvalidNextTokenException"):
        sm.list_secret_version_ids(SecretId="s", NextToken=asked["NextToken"])


MOVES: dict[str, tuple[dict[str, str], str, str]] = {
    "neither version": (
        {"VersionStage": C},
        "InvalidParameterException",
        "You must provide either MoveToVersionId or RemoveFromVersionId.",
    ),
    "not said where it sits": (
        {"VersionStage": C, "MoveToVersionId": token(1)},
        "InvalidParameterException",
        f"The parameter RemoveFromVersionId can't be empty. Staging label AWSCURRENT is currently attached to version {token(0)}, so you must explicitly reference that version in RemoveFromVersionId.",
    ),
    "wrongly said where it sits": (
        {"VersionStage": C, "MoveToVersionId": token(0), "RemoveFromVersionId": token(1)},
        "InvalidParameterException",
        f"Staging label AWSCURRENT isn't currently attached to version {token(1)}.",
    ),
    "current taken off": (
        {"VersionStage": C, "RemoveFromVersionId": token(0)},
        "InvalidParameterException",
        "You can only move staging label AWSCURRENT to a different secret version. It can’t be completely removed.",
    ),
    "to a version that is not there": (
        {"VersionStage": "x", "MoveToVersionId": token(9)},
        "ResourceNotFoundException",
        f"Secrets Manager can't find the specified secret value for VersionId: {token(9)}",
    ),
}


@pytest.mark.parametrize("case", MOVES)
def test_a_label_that_cannot_move_is_refused_in_awss_words(sm: Any, case: str) -> None:
    params, code, message = MOVES[case]
    sm.create_secret(Name="s", SecretString="0", ClientRequestToken=token(0))
    put(sm, 1, [PE])
    with refused(code, message):
        sm.update_secret_version_stage(SecretId="s", **params)


def test_a_secret_wears_at_most_twenty_labels() -> None:
    stages = {C: "v0"} | {f"label-{number}": "v0" for number in range(MOST_LABELS - 1)}
    assert len(attach(stages, ["label-3"], "v1")) == MOST_LABELS
    with pytest.raises(ServiceError) as refusal:
        attach(stages, ["one too many"], "v1")
    assert refusal.value.code == "LimitExceededException"


LABELS = st.sampled_from([C, PR, PE, "one", "two"])
VERSIONS = st.sampled_from(["v0", "v1", "v2", "v3"])
STEPS = st.one_of(
    st.tuples(st.just("attach"), st.lists(LABELS, min_size=1, max_size=3, unique=True), VERSIONS),
    st.tuples(st.just("move"), LABELS, st.none() | VERSIONS, st.none() | VERSIONS),
)


@given(st.lists(STEPS, max_size=30))
def test_whatever_is_done_current_stays_and_previous_follows(steps: list[Any]) -> None:
    stages: dict[str, str] = {}
    for step in steps:
        before = stages
        try:
            match step:
                case ("attach", labels, version):
                    stages = attach(before, labels, version)
                case ("move", label, to, removed_from):
                    stages = move_label(before, label, to=to, removed_from=removed_from)
        except ServiceError:
            assert stages is before
            continue
        assert len(stages) <= MOST_LABELS
        if C in before:
            assert C in stages
            if stages[C] != before[C]:
                assert stages[PR] == before[C]
