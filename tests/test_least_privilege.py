"""Every policy on docs/least-privilege.md is one, and comes to what the table under it says."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from geumgo.domain.arn import split_arn
from geumgo.domain.policy import Asked, Context, PolicyKind, PolicyPrincipal, Standing, compile_policy, decide
from tests.house import House
from tests.promises.tricks import refused

PAGE = (Path(__file__).parent.parent / "docs" / "least-privilege.md").read_text("utf-8")
EXAMPLE = re.compile(
    r"<!-- (\w+) -->\n```json\n(.*?)```\n\n\| action [^\n]*\|\n\|[-|]+\|\n((?:\|[^\n]*\|\n)+)", re.DOTALL
)
ROW = re.compile(r"\| `([^`]+)` \| `([^`]+)` \| (.*?) ?\| (allowed|denied) \|")
EVERYTHING = compile_policy(
    '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}', PolicyKind.IDENTITY
)
ANN = "arn:aws:iam::111122223333:user/ann"


@dataclass(frozen=True)
class Question:
    kind: str
    document: str
    action: str
    resource: str
    given: tuple[str, ...]
    answer: str

    def __str__(self) -> str:
        return f"{self.kind}-{self.action}-{self.answer}"


def questions() -> list[Question]:
    found = []
    for kind, document, table in EXAMPLE.findall(PAGE):
        rows = [ROW.fullmatch(row) for row in table.splitlines()]
        for row in rows:
            assert row is not None, table
            found.append(Question(kind, document, row[1], row[2], tuple(re.findall(r"`([^`]+)`", row[3])), row[4]))
    return found


def principal_of(name: str) -> PolicyPrincipal:
    arn = split_arn(name)
    if arn is None:
        return PolicyPrincipal("AWSService", "", "", "", service=name)
    if arn.resource_type == "role":
        session = f"arn:aws:sts::{arn.account}:assumed-role/{arn.resource_id}/session"
        return PolicyPrincipal("AssumedRole", arn.account, session, "AROAEXAMPLE:session", role_arn=name)
    return PolicyPrincipal("IAMUser", arn.account, name, "AIDAEXAMPLE")


def standing_of(question: Question) -> Standing:
    """What is shown is the only limit: where it is not the caller's own policy, those allow everything."""
    policy = compile_policy(question.document, PolicyKind[question.kind.upper()])
    match question.kind:
        case "identity":
            return Standing(identity=(policy,))
        case "boundary":
            return Standing(identity=(EVERYTHING,), boundary=policy)
        case "resource":
            return Standing(identity=(EVERYTHING,), resource=policy)
        case "key" | "trust":
            return Standing(identity=(EVERYTHING,), resource=policy, resource_rule="required")
    raise AssertionError(question.kind)


@pytest.mark.parametrize("question", questions(), ids=str)
def test_the_page_is_right(question: Question) -> None:
    given = dict(each.split("=", 1) for each in question.given)
    who = principal_of(given.pop("principal", ANN))
    arn = split_arn(question.resource)
    circumstances = Context({key: (value,) for key, value in given.items()})
    asked = Asked(
        who, question.action, question.resource, arn.account if arn is not None else who.account, circumstances
    )
    decision = decide(asked, standing_of(question))
    assert decision.allowed is (question.answer == "allowed"), decision


def test_no_example_is_without_a_table_and_no_table_has_one_answer_only() -> None:
    examples = EXAMPLE.findall(PAGE)
    assert len(examples) == PAGE.count("```json") >= 10
    for _, document, table in examples:
        assert "| allowed |" in table, document
        assert "| denied |" in table, document


def example(number: int, house: House, **change: str) -> str:
    """An example of the page, for this house's account."""
    document = EXAMPLE.findall(PAGE)[number][1].replace("111122223333", house.account)
    for old, new in change.items():
        assert old in document
        document = document.replace(old, new)
    return str(document)


def reader(house: House, *documents: str) -> Any:
    key = house.user("ann")
    for number, document in enumerate(documents):
        house.client("iam").put_user_policy(UserName="ann", PolicyName=f"p{number}", PolicyDocument=document)
    return house.client("secretsmanager", key)


def test_the_first_example_opens_one_secret_on_a_server_and_needs_no_right_on_the_managed_key(house: House) -> None:
    admin = house.client("secretsmanager")
    admin.create_secret(Name="app/prod/db", SecretString="value")
    admin.create_secret(Name="app/prod/db-replica", SecretString="other")
    ann = reader(house, example(0, house))
    assert ann.get_secret_value(SecretId="app/prod/db")["SecretString"] == "value"
    for attempt in (
        lambda: ann.get_secret_value(SecretId="app/prod/db-replica"),
        lambda: ann.put_secret_value(SecretId="app/prod/db", SecretString="x"),
        lambda: ann.list_secrets(),
    ):
        with refused():
            attempt()


def test_the_second_example_opens_the_current_version_only_on_a_server(house: House) -> None:
    admin = house.client("secretsmanager")
    version = admin.create_secret(Name="app/prod/db", SecretString="old")["VersionId"]
    admin.put_secret_value(SecretId="app/prod/db", SecretString="new")
    ann = reader(house, example(1, house))
    for asked in ({}, {"VersionStage": "AWSCURRENT"}):
        assert ann.get_secret_value(SecretId="app/prod/db", **asked)["SecretString"] == "new"
    for asked in ({"VersionStage": "AWSPREVIOUS"}, {"VersionId": version}, {"VersionId": version, "VersionStage": "AWSCURRENT"}):  # fmt: skip
        with refused():
            ann.get_secret_value(SecretId="app/prod/db", **asked)


def test_the_key_opens_through_secrets_manager_and_for_one_secret_only_on_a_server(house: House) -> None:
    kms, admin = house.client("kms"), house.client("secretsmanager")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    for name in ("app/prod/db", "other"):
        admin.create_secret(Name=name, SecretString="value", KmsKeyId=key)
    everything = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"secretsmanager:*","Resource":"*"}}'
    ann = reader(house, everything)
    with refused():
        ann.get_secret_value(SecretId="app/prod/db")
    opened = example(3, house, **{"1234abcd-12ab-34cd-56ef-1234567890ab": key})
    house.client("iam").put_user_policy(UserName="ann", PolicyName="key", PolicyDocument=opened)
    assert ann.get_secret_value(SecretId="app/prod/db")["SecretString"] == "value"
    with refused():
        ann.get_secret_value(SecretId="other")
