"""DescribeParameters, GetParametersByPath, GetParameterHistory: filters, pages, order."""

from typing import Any

import pytest

from geumgo.services.ssm import listing, reading
from tests.house import House
from tests.services.ssm.asking import all_names, names, put, refused

TREE = ("/app", "/app/a", "/app/b", "/app/b/c", "/app/b/c/d", "/app-2/x", "/app.x", "/apple/x", "Root", "/zoo")
PATH_RULE = (
    'The parameter doesn\'t meet the parameter name requirements. The parameter name must begin with a forward slash "/". '
    'It can\'t be prefixed with "aws" or "ssm" (case-insensitive). It must use only letters, numbers, or the following '
    "symbols: . (period), - (hyphen), _ (underscore). Special characters are not allowed. All sub-paths, if specified, must "
    'use the forward slash symbol "/". Valid example: /get/parameters2-/by1./path0_.'
)
COMMON = (
    'Filters for common parameters can\'t be prefixed with "aws" or "ssm" (case-insensitive). When using global parameters, '
    "please specify within a global namespace."
)


@pytest.fixture
def tree(ssm_on_each: Any) -> Any:
    for name in TREE:
        put(ssm_on_each, name, name)
    return ssm_on_each


@pytest.mark.parametrize(
    ("path", "one_level", "recursive"),
    [
        ("/app", ["/app/a", "/app/b"], ["/app/a", "/app/b", "/app/b/c", "/app/b/c/d"]),
        ("/app/", ["/app/a", "/app/b"], ["/app/a", "/app/b", "/app/b/c", "/app/b/c/d"]),
        ("/app/b", ["/app/b/c"], ["/app/b/c", "/app/b/c/d"]),
        ("/app/b/c/d", [], []),
        ("/none", [], []),
        ("/aws/service", [], []),
        ("/", ["Root", "/app", "/app.x", "/zoo"], sorted(TREE, key=lambda name: f"/{name.lstrip('/')}")),
    ],
)
def test_a_path_means_what_lies_below_it(tree: Any, path: str, one_level: list[str], recursive: list[str]) -> None:
    for size in (1, 3, 10):
        asked = {"Path": path, "PaginationConfig": {"PageSize": size}}
        assert all_names(tree, "get_parameters_by_path", **asked) == one_level
        assert all_names(tree, "get_parameters_by_path", **asked, Recursive=True) == recursive


def test_a_page_by_path_has_ten_at_most(ssm: Any) -> None:
    for number in range(12):
        put(ssm, f"/p/{number:02}")
    page = ssm.get_parameters_by_path(Path="/p")
    assert names(page) == [f"/p/{number:02}" for number in range(10)]
    rest = ssm.get_parameters_by_path(Path="/p", NextToken=page["NextToken"])
    assert names(rest) == ["/p/10", "/p/11"]
    assert "NextToken" not in rest
    with refused("ValidationException", "1 validation error detected: Value '11' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 10"):  # fmt: skip
        ssm.get_parameters_by_path(Path="/p", MaxResults=11)


@pytest.mark.parametrize("path", ["app", "//", "/a b", "/app//b", "/###"])
def test_what_is_no_path(ssm: Any, path: str) -> None:
    with refused("ValidationException", PATH_RULE):
        ssm.get_parameters_by_path(Path=path)


def test_a_token_is_good_for_its_own_question_only(tree: Any) -> None:
    token = tree.get_parameters_by_path(Path="/app", Recursive=True, MaxResults=1)["NextToken"]
    assert names(tree.get_parameters_by_path(Path="/app/", Recursive=True, NextToken=token))[0] == "/app/b"
    tree.get_parameters_by_path(Path="/app", Recursive=True, NextToken=token, WithDecryption=True)
    for asked in ({"Path": "/app"}, {"Path": "/app/b", "Recursive": True}):
        with refused("InvalidNextToken", "The specified token isn't valid."):
            tree.get_parameters_by_path(**asked, NextToken=token)
    for wrong in (lambda: tree.describe_parameters(NextToken=token), lambda: tree.describe_parameters(NextToken="x"),
                  lambda: tree.get_parameter_history(Name="/app", NextToken=token)):  # fmt: skip
        with refused("InvalidNextToken"):
            wrong()


def test_filters_by_path(house: House) -> None:
    ssm = house.client("ssm")
    put(ssm, "/p/s", "old")
    put(ssm, "/p/l", "a,b", Type="StringList")
    put(ssm, "/p/k", "secret", Type="SecureString")
    put(ssm, "/p/s", "new", Overwrite=True)
    ssm.label_parameter_version(Name="/p/s", ParameterVersion=1, Labels=["prod"])

    def found(key: str, *values: str, **more: str) -> list[str]:
        asked = [{"Key": key, "Values": list(values), **more}]
        return [each["Value"] for each in ssm.get_parameters_by_path(Path="/p", ParameterFilters=asked, WithDecryption=True)["Parameters"]]  # fmt: skip

    assert found("Type", "StringList", "SecureString") == ["secret", "a,b"]
    assert found("Type", "String", Option="BeginsWith") == ["a,b", "new"]
    assert found("KeyId", "alias/aws/ssm") == ["secret"]
    assert found("Label", "prod", "none") == ["old"]
    with refused("InvalidFilterKey", "The following filter key is not valid: Name. Valid filter keys include: [Type, KeyId]."):  # fmt: skip
        found("Name", "x")
    with refused("InvalidFilterOption"):
        found("Label", "prod", Option="BeginsWith")


def test_a_page_looks_at_a_bounded_number_of_parameters(ssm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (listing, reading):
        monkeypatch.setattr(module, "MOST_LOOKED_AT", 4)
        monkeypatch.setattr(module, "_CHUNK", 2)
    for number in range(9):
        put(ssm, f"/p/{number}", "a,b", Type="StringList" if number == 8 else "String")
    wanted = [{"Key": "Type", "Values": ["StringList"]}]
    first = ssm.get_parameters_by_path(Path="/p", ParameterFilters=wanted)
    assert (names(first), "NextToken" in first) == ([], True)
    assert all_names(ssm, "get_parameters_by_path", Path="/p", ParameterFilters=wanted) == ["/p/8"]
    assert all_names(ssm, "describe_parameters", ParameterFilters=wanted) == ["/p/8"]
    assert len(all_names(ssm, "describe_parameters")) == 9


# -- describe ---------------------------------------------------------------------------------------------------------


def test_a_description_has_everything_but_the_value(house: House) -> None:
    ssm = house.client("ssm")
    put(ssm, "/a/b", "11", Type="SecureString", Description="d", AllowedPattern=r"\d+")
    shown = ssm.describe_parameters()["Parameters"]
    assert [{key: each[key] for key in each if key != "LastModifiedDate"} for each in shown] == [
        {
            "Name": "/a/b", "ARN": f"arn:aws:ssm:us-east-1:{house.account}:parameter/a/b", "Type": "SecureString", "KeyId": "alias/aws/ssm",
            "LastModifiedUser": f"arn:aws:iam::{house.account}:user/admin", "Description": "d", "AllowedPattern": r"\d+", "Version": 1,
            "Tier": "Standard", "Policies": [], "DataType": "text",
        }
    ]  # fmt: skip


FILTERS: list[tuple[dict[str, Any], list[str]]] = [
    ({"Key": "Name", "Values": ["/app/a"]}, ["/app/a"]),
    ({"Key": "Name", "Values": ["Root", "/zoo"]}, ["Root", "/zoo"]),
    ({"Key": "Name", "Values": ["/Root"]}, ["Root"]),
    ({"Key": "Name", "Option": "BeginsWith", "Values": ["app"]}, ["/app", "/app-2/x", "/app.x", "/app/a", "/app/b", "/app/b/c", "/app/b/c/d", "/apple/x"]),
    ({"Key": "Name", "Option": "Contains", "Values": ["/b/"]}, ["/app/b/c", "/app/b/c/d"]),
    ({"Key": "Path", "Values": ["/app"]}, ["/app/a", "/app/b"]),
    ({"Key": "Path", "Option": "Recursive", "Values": ["/app/"]}, ["/app/a", "/app/b", "/app/b/c", "/app/b/c/d"]),
    ({"Key": "Path", "Option": "Recursive", "Values": ["/app/b", "/apple"]}, ["/app/b/c", "/app/b/c/d", "/apple/x"]),
    ({"Key": "Path", "Option": "OneLevel", "Values": ["/"]}, ["Root", "/app", "/app.x", "/zoo"]),
    ({"Key": "Type", "Values": ["String"]}, sorted(TREE, key=lambda name: f"/{name.lstrip('/')}")),
    ({"Key": "Type", "Values": ["SecureString"]}, []),
    ({"Key": "Tier", "Values": ["Standard"]}, sorted(TREE, key=lambda name: f"/{name.lstrip('/')}")),
    ({"Key": "DataType", "Values": ["text"]}, sorted(TREE, key=lambda name: f"/{name.lstrip('/')}")),
    ({"Key": "KeyId", "Values": ["alias/aws/ssm"]}, []),
    ({"Key": "tag:team", "Values": ["blue", "red"]}, ["/zoo"]),
    ({"Key": "tag:team", "Option": "BeginsWith", "Values": ["b"]}, ["/zoo"]),
    ({"Key": "tag:team"}, ["/zoo"]),
    ({"Key": "tag:other"}, []),
]  # fmt: skip


def test_a_filter_means_what_it_means_on_aws(tree: Any) -> None:
    tree.add_tags_to_resource(ResourceType="Parameter", ResourceId="/zoo", Tags=[{"Key": "team", "Value": "blue"}])
    for wanted, expected in FILTERS:
        for size in (1, 3, 50):
            found = all_names(tree, "describe_parameters", ParameterFilters=[wanted], PaginationConfig={"PageSize": size})  # fmt: skip
            assert found == expected, wanted
    both = [{"Key": "Path", "Option": "Recursive", "Values": ["/app"]}, {"Key": "Name", "Option": "Contains", "Values": ["c"]}]  # fmt: skip
    assert names(tree.describe_parameters(ParameterFilters=both)) == ["/app/b/c", "/app/b/c/d"]
    assert names(tree.describe_parameters(Filters=[{"Key": "Name", "Values": ["/app/b"]}])) == ["/app/b", "/app/b/c", "/app/b/c/d"]  # fmt: skip
    assert names(tree.describe_parameters(Filters=[{"Key": "Type", "Values": ["StringList"]}])) == []


@pytest.mark.parametrize(
    ("filters", "code", "message"),
    [
        ([{"Key": "Label", "Values": ["x"]}], "InvalidFilterKey", "The following filter key is not valid: Label. Valid filter keys include: [Path, Name, Type, KeyId, Tier]."),
        ([{"Key": "Name", "Values": ["x"]}, {"Key": "Name", "Values": ["y"]}], "InvalidFilterKey", "The following filter is duplicated in the request: Name. A request can contain only one occurrence of a specific filter."),
        ([{"Key": "Name"}], "InvalidFilterValue", "The following filter values are missing : null for filter key Name."),
        ([{"Key": "Type", "Option": "Ends", "Values": ["String"]}], "InvalidFilterOption", "The following filter option is not valid: Ends. Valid options include: [BeginsWith, Equals]."),
        ([{"Key": "Path", "Option": "Equals", "Values": ["/x"]}], "InvalidFilterOption", "The following filter option is not valid: Equals. Valid options include: [Recursive, OneLevel]."),
        ([{"Key": "Type", "Values": ["Text"]}], "InvalidFilterValue", "The following filter value is not valid: Text. Valid values include: [String, StringList, SecureString]."),
        ([{"Key": "Tier", "Values": ["Best"]}], "InvalidFilterValue", "The following filter value is not valid: Best. Valid values include: [Standard, Advanced, Intelligent-Tiering]."),
        ([{"Key": "Path", "Values": ["x"]}], "ValidationException", PATH_RULE),
        ([{"Key": "Path", "Values": ["/aws/x"]}], "ValidationException", COMMON),
        ([{"Key": "Name", "Values": ["ssm"]}], "ValidationException", COMMON),
        ([{"Key": "Nonsense", "Values": ["x"]}], "ValidationException", None),
        ([{"Key": "Name", "Values": ["a\0"]}], "ValidationException", None),
    ],
)  # fmt: skip
def test_filters_that_mean_nothing(ssm: Any, filters: list[Any], code: str, message: str | None) -> None:
    with refused(code, message):
        ssm.describe_parameters(ParameterFilters=filters)


def test_there_is_one_kind_of_filter_in_a_request(ssm: Any) -> None:
    one = [{"Key": "Name", "Values": ["x"]}]
    with refused("ValidationException", "You can use either Filters or ParameterFilters in a single request."):
        ssm.describe_parameters(Filters=one, ParameterFilters=one)


# -- history, labels, tags --------------------------------------------------------------------------------------------


def test_the_history_tells_of_every_version(house_on_each: House) -> None:
    ssm = house_on_each.client("ssm")
    put(ssm, "/h", "one", Type="SecureString", Description="first")
    house_on_each.clock.turn(ms=1000)
    ssm.put_parameter(Name="/h", Value="two", Overwrite=True, Description="second", Tier="Advanced")
    ssm.label_parameter_version(Name="/h", Labels=["live", "blue"])
    pages = ssm.get_paginator("get_parameter_history").paginate(Name="/h", WithDecryption=True, PaginationConfig={"PageSize": 1})  # fmt: skip
    told = [each for page in pages for each in page["Parameters"]]
    assert [(each["Version"], each["Value"], each["Description"], each["Labels"], each["Tier"]) for each in told] == [
        (1, "one", "first", [], "Standard"),
        (2, "two", "second", ["blue", "live"], "Advanced"),
    ]
    assert told[0]["LastModifiedDate"] < told[1]["LastModifiedDate"]
    closed = ssm.get_parameter_history(Name="/h")["Parameters"]
    assert not {"one", "two"} & {each["Value"] for each in closed}
    with refused("ParameterNotFound"):
        ssm.get_parameter_history(Name="/none")


def test_labels_move_and_come_off(ssm_on_each: Any) -> None:
    ssm = ssm_on_each
    put(ssm, "/l", "1")
    put(ssm, "/l", "2", Overwrite=True)
    wrong = ["1st", "aws-x", "SSMx", "a b", "é"]
    answer = ssm.label_parameter_version(Name="/l", Labels=["ok_1.-", *wrong])
    assert (answer["InvalidLabels"], answer["ParameterVersion"]) == (wrong, 2)
    ssm.label_parameter_version(Name="/l", ParameterVersion=1, Labels=["ok_1.-"])
    assert [each["Labels"] for each in ssm.get_parameter_history(Name="/l")["Parameters"]] == [["ok_1.-"], []]
    answer = ssm.unlabel_parameter_version(Name="/l", ParameterVersion=2, Labels=["ok_1.-"])
    assert (answer["RemovedLabels"], answer["InvalidLabels"]) == ([], ["ok_1.-"])
    answer = ssm.unlabel_parameter_version(Name="/l", ParameterVersion=1, Labels=["ok_1.-", "none"])
    assert (answer["RemovedLabels"], answer["InvalidLabels"]) == (["ok_1.-"], ["none"])
    for wrong_version in (3, 0, -1):
        with refused("ParameterVersionNotFound"):
            ssm.label_parameter_version(Name="/l", ParameterVersion=wrong_version, Labels=["x"])
        with refused("ParameterVersionNotFound"):
            ssm.unlabel_parameter_version(Name="/l", ParameterVersion=wrong_version, Labels=["x"])
    with refused("ParameterNotFound"):
        ssm.label_parameter_version(Name="/none", Labels=["x"])


def test_a_version_wears_ten_labels_at_most(ssm: Any) -> None:
    put(ssm, "/l")
    ssm.label_parameter_version(Name="/l", Labels=[f"l{number}" for number in range(10)])
    with refused(
        "ParameterVersionLabelLimitExceeded",
        "A parameter version can have maximum 10 labels.Move one or more labels to another version and try again.",
    ):
        ssm.label_parameter_version(Name="/l", Labels=["one-more"])


def test_tags(ssm_on_each: Any) -> None:
    ssm = ssm_on_each
    put(ssm, "/t", Tags=[{"Key": "a", "Value": "1"}])
    where = {"ResourceType": "Parameter", "ResourceId": "/t"}
    ssm.add_tags_to_resource(**where, Tags=[{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "3"}])
    assert ssm.list_tags_for_resource(**where)["TagList"] == [{"Key": "a", "Value": "3"}, {"Key": "b", "Value": "2"}]
    ssm.remove_tags_from_resource(**where, TagKeys=["a", "none"])
    assert ssm.list_tags_for_resource(**where)["TagList"] == [{"Key": "b", "Value": "2"}]
    with refused("TooManyTagsError"):
        ssm.add_tags_to_resource(**where, Tags=[{"Key": f"k{number}", "Value": ""} for number in range(50)])
    with refused("ValidationException"):
        ssm.add_tags_to_resource(**where, Tags=[{"Key": "aws:x", "Value": ""}])
    for what, code in ((("Document", "/t"), "InvalidResourceType"), (("Parameter", "/none"), "InvalidResourceId"), (("Parameter", "x y"), "InvalidResourceId")):  # fmt: skip
        with refused(code):
            ssm.list_tags_for_resource(ResourceType=what[0], ResourceId=what[1])


# -- settings ---------------------------------------------------------------------------------------------------------

TIER = "/ssm/parameter-store/default-parameter-tier"


def test_the_default_tier_is_a_setting(house_on_each: House) -> None:
    ssm = house_on_each.client("ssm")
    whole = f"arn:aws:ssm:us-east-1:{house_on_each.account}:servicesetting{TIER}"
    before = ssm.get_service_setting(SettingId=TIER)["ServiceSetting"]
    assert before == {"SettingId": TIER, "SettingValue": "Standard", "LastModifiedUser": "System", "ARN": whole, "Status": "Default"}  # fmt: skip
    ssm.update_service_setting(SettingId=whole, SettingValue="Advanced")
    after = ssm.get_service_setting(SettingId=TIER)["ServiceSetting"]
    assert (after["SettingValue"], after["Status"], after["LastModifiedUser"]) == (
        "Advanced", "Customized", f"arn:aws:iam::{house_on_each.account}:user/admin",
    )  # fmt: skip
    assert put(ssm, "/a")["Tier"] == "Advanced"
    assert put(ssm, "/b", Tier="Standard")["Tier"] == "Standard"
    assert ssm.reset_service_setting(SettingId=TIER)["ServiceSetting"] == before
    assert put(ssm, "/c")["Tier"] == "Standard"


def test_settings_that_are_not_there_and_values_that_cannot_be(ssm: Any) -> None:
    throughput = "/ssm/parameter-store/high-throughput-enabled"
    assert ssm.get_service_setting(SettingId=throughput)["ServiceSetting"]["SettingValue"] == "false"
    ssm.update_service_setting(SettingId=throughput, SettingValue="true")
    for value in ("yes", "Standard"):
        with refused("ValidationException"):
            ssm.update_service_setting(SettingId=throughput, SettingValue=value)
    for wrong in ("/ssm/nothing", f"arn:aws:ssm:us-east-1:999999999999:servicesetting{TIER}", "arn:aws:x"):
        with refused("ServiceSettingNotFound"):
            ssm.get_service_setting(SettingId=wrong)
