"""Versions, aliases, tags, concurrency."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.functions.zips import ECHO, package
from tests.house import House
from tests.promises.tricks import allow, refused

NUMBERED = "def handler(e, c):\n    return {number}\n"


def ran(functions: Any, qualifier: str) -> Any:
    got = functions.invoke(FunctionName="f", Qualifier=qualifier)
    return json.loads(got["Payload"].read()), got["ExecutedVersion"]


def test_a_version_stays_as_it_was(make: Any, functions: Any) -> None:
    make("f", NUMBERED.format(number=1), Environment={"Variables": {"AB": "one"}})
    first = functions.publish_version(FunctionName="f", Description="the first")
    assert (first["Version"], first["FunctionArn"].rsplit(":", 1)[1], first["Description"]) == ("1", "1", "the first")
    assert functions.publish_version(FunctionName="f")["Version"] == "1"  # nothing has changed
    second = functions.update_function_code(FunctionName="f", ZipFile=package(NUMBERED.format(number=2)), Publish=True)
    assert second["Version"] == "2"
    functions.update_function_code(FunctionName="f", ZipFile=package(NUMBERED.format(number=3)))
    functions.update_function_configuration(FunctionName="f", Environment={"Variables": {"AB": "two"}})
    assert [ran(functions, each) for each in ("1", "2", "$LATEST")] == [(1, "1"), (2, "2"), (3, "$LATEST")]
    assert functions.get_function_configuration(FunctionName="f", Qualifier="1")["Environment"]["Variables"] == {
        "AB": "one"
    }
    with refused("InvalidParameterValueException"):
        functions.update_function_code(FunctionName="f:1", ZipFile=package(ECHO))
    listed = functions.get_paginator("list_versions_by_function").paginate(
        FunctionName="f", PaginationConfig={"PageSize": 2}
    )
    assert [[each["Version"] for each in page["Versions"]] for page in listed] == [["$LATEST", "1"], ["2"]]
    assert len(functions.list_functions(FunctionVersion="ALL")["Functions"]) == 3
    for given in ({"RevisionId": "x"}, {"CodeSha256": "x"}):
        with refused("PreconditionFailedException", "InvalidParameterValueException"):
            functions.publish_version(FunctionName="f", **given)


def test_a_number_is_given_once(make: Any, functions: Any, house: House) -> None:
    assert make("f", Publish=True)["Version"] == "1"
    functions.delete_function(FunctionName="f", Qualifier="1")
    with refused("ResourceNotFoundException"):
        functions.invoke(FunctionName="f", Qualifier="1")
    assert functions.publish_version(FunctionName="f")["Version"] == "2"
    with refused("InvalidParameterValueException"):
        functions.delete_function(FunctionName="f", Qualifier="$LATEST")
    with house.app.storage.reading() as tx:
        assert tx.all("SELECT COUNT(*) FROM lambda_code") == [(1,)]


def test_an_alias_leads_to_a_version_and_can_be_moved(make: Any, functions: Any, house: House) -> None:
    make("f", NUMBERED.format(number=1), Publish=True)
    functions.update_function_code(FunctionName="f", ZipFile=package(NUMBERED.format(number=2)), Publish=True)
    made = functions.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    assert made["AliasArn"] == f"arn:aws:lambda:us-east-1:{house.account}:function:f:live"
    assert ran(functions, "live") == (1, "1")
    with refused("ResourceConflictException"):
        functions.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    with refused("ResourceConflictException"):
        functions.delete_function(FunctionName="f", Qualifier="1")
    with refused("PreconditionFailedException"):
        functions.update_alias(FunctionName="f", Name="live", FunctionVersion="2", RevisionId="x")
    functions.update_alias(FunctionName="f", Name="live", FunctionVersion="2", RevisionId=made["RevisionId"])
    assert ran(functions, "live") == (2, "2")
    functions.create_alias(FunctionName="f", Name="next", FunctionVersion="$LATEST", Description="soon")
    assert [each["Name"] for each in functions.list_aliases(FunctionName="f")["Aliases"]] == ["live", "next"]
    assert [each["Name"] for each in functions.list_aliases(FunctionName="f", FunctionVersion="2")["Aliases"]] == [
        "live"
    ]
    pages = functions.get_paginator("list_aliases").paginate(FunctionName="f", PaginationConfig={"PageSize": 1})
    assert [len(page["Aliases"]) for page in pages] == [1, 1]
    assert functions.get_alias(FunctionName="f", Name="next")["Description"] == "soon"
    functions.delete_alias(FunctionName="f", Name="live")
    functions.delete_alias(FunctionName="f", Name="live")
    for call in (functions.get_alias, functions.update_alias):
        with refused("ResourceNotFoundException"):
            call(FunctionName="f", Name="live")


@pytest.mark.parametrize(
    "given",
    [{"FunctionVersion": "7"}, {"FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.5}}}],
)
def test_an_alias_leads_to_one_version_that_is_there(make: Any, functions: Any, given: dict[str, Any]) -> None:
    make("f", Publish=True)
    with refused("ResourceNotFoundException", "InvalidParameterValueException"):
        functions.create_alias(FunctionName="f", Name="live", **given)


def test_a_permission_is_for_the_alias_that_it_names(make: Any, functions: Any, house: House) -> None:
    make("f", Publish=True)
    functions.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    ann = house.client("lambda", house.user("ann"))
    who = f"arn:aws:iam::{house.account}:user/ann"
    functions.add_permission(
        FunctionName="f", Qualifier="live", StatementId="ann", Action="lambda:InvokeFunction", Principal=who
    )
    assert ann.invoke(FunctionName="f:live")["ExecutedVersion"] == "1"
    for name in ("f", "f:1"):
        with refused():
            ann.invoke(FunctionName=name)
    functions.delete_alias(FunctionName="f", Name="live")
    functions.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    with refused():
        ann.invoke(FunctionName="f:live")


def test_tags_decide(make: Any, functions: Any, house: House) -> None:
    arn = make("f", Tags={"team": "red"})["FunctionArn"]
    red = allow("lambda:GetFunction", Condition={"StringEquals": {"aws:ResourceTag/team": "red"}})
    ann = house.client("lambda", house.user("ann", red))
    ann.get_function(FunctionName="f")
    functions.tag_resource(Resource=arn, Tags={"team": "blue", "cost": "1"})
    assert functions.list_tags(Resource=arn)["Tags"] == {"team": "blue", "cost": "1"}
    with refused():
        ann.get_function(FunctionName="f")
    functions.untag_resource(Resource=arn, TagKeys=["cost", "absent"])
    assert functions.list_tags(Resource=arn)["Tags"] == {"team": "blue"}
    with refused("InvalidParameterValueException"):
        functions.tag_resource(Resource=arn, Tags={f"k{number}": "" for number in range(51)})


def test_a_function_with_a_concurrency_of_0_does_not_run(make: Any, functions: Any) -> None:
    make("f")
    assert (
        functions.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)[
            "ReservedConcurrentExecutions"
        ]
        == 0
    )
    with refused("TooManyRequestsException") as caught:
        functions.invoke(FunctionName="f")
    assert caught[0].response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert functions.get_function(FunctionName="f")["Concurrency"] == {"ReservedConcurrentExecutions": 0}
    functions.delete_function_concurrency(FunctionName="f")
    assert "ReservedConcurrentExecutions" not in functions.get_function_concurrency(FunctionName="f")
    assert ran(functions, "$LATEST") == ({}, "$LATEST")


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE lambda_version SET configuration = REPLACE(configuration, 'role/runs', 'role/admin')",
        "UPDATE lambda_function SET policies = '{}' WHERE policies <> '{}'",
        "UPDATE lambda_alias SET number = 2",
        "DELETE FROM lambda_code",
    ],
)
def test_a_row_that_was_edited_runs_nothing(make: Any, functions: Any, house: House, sql: str) -> None:
    make("f", NUMBERED.format(number=1), Publish=True)
    functions.update_function_code(FunctionName="f", ZipFile=package(NUMBERED.format(number=2)), Publish=True)
    functions.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    functions.add_permission(
        FunctionName="f", StatementId="s", Action="lambda:InvokeFunction", Principal="events.amazonaws.com"
    )
    with house.app.storage.writing() as tx:
        assert tx.run(sql) > 0
    with pytest.raises(ClientError) as caught:
        functions.invoke(FunctionName="f", Qualifier="live")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
