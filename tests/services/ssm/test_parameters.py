"""PutParameter, GetParameter, GetParameters, DeleteParameter(s): values, versions, names, refusals."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest

from geumgo.services.ssm import domain_types
from geumgo.services.ssm.errors import UnsupportedParameterType, ValidationFailed
from tests.house import House
from tests.services.ssm.asking import NAME_RULE, put, refused, secret, value


def arn(house: House, path: str) -> str:
    return f"arn:aws:ssm:us-east-1:{house.account}:parameter{path}"


def test_a_parameter_is_put_and_read(house_on_each: House) -> None:
    ssm = house_on_each.client("ssm")
    assert put(ssm, "/app/db/url", "postgres://", Description="d")["Version"] == 1
    got = ssm.get_parameter(Name="/app/db/url")["Parameter"]
    assert got == {
        "Name": "/app/db/url",
        "Type": "String",
        "Value": "postgres://",
        "Version": 1,
        "LastModifiedDate": datetime.fromtimestamp(house_on_each.clock.now_ms() / 1000, UTC),
        "ARN": arn(house_on_each, "/app/db/url"),
        "DataType": "text",
    }
    put(ssm, "/app/db/url", "mysql://", Overwrite=True)
    assert value(ssm, "/app/db/url") == "mysql://"
    assert value(ssm, "/app/db/url:1") == "postgres://"
    ssm.delete_parameter(Name="/app/db/url")
    with refused("ParameterNotFound", "Parameter /app/db/url not found."):
        ssm.get_parameter(Name="/app/db/url")
    assert put(ssm, "/app/db/url", "again")["Version"] == 1


def test_the_answer_to_a_put_is_version_and_tier(ssm: Any) -> None:
    answer = put(ssm, "a")
    assert (answer["Version"], answer["Tier"]) == (1, "Standard")


@pytest.mark.parametrize(("made", "other"), [("plain", "/plain"), ("/slashed", "slashed")])
def test_at_the_root_a_name_with_and_without_slash_is_one_parameter(house: House, made: str, other: str) -> None:
    ssm = house.client("ssm")
    put(ssm, made, "one")
    with refused("ParameterAlreadyExists"):
        put(ssm, other, "two")
    put(ssm, other, "two", Overwrite=True)
    for spelled in (made, other, arn(house, f"/{made.strip('/')}"), f" {made} ", f"{other}:2"):
        got = ssm.get_parameter(Name=spelled)["Parameter"]
        assert (got["Name"], got["Value"], got["ARN"]) == (made, "two", arn(house, f"/{made.strip('/')}"))
    assert ssm.get_parameters(Names=[other])["Parameters"][0]["Value"] == "two"
    ssm.add_tags_to_resource(ResourceType="Parameter", ResourceId=other, Tags=[{"Key": "k", "Value": "v"}])
    assert ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=made)["TagList"]
    ssm.delete_parameter(Name=other)
    with refused("ParameterNotFound"):
        ssm.get_parameter(Name=made)


def test_what_is_there_is_not_overwritten_without_a_word(ssm: Any) -> None:
    put(ssm, "a")
    with refused(
        "ParameterAlreadyExists",
        "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.",
    ):
        put(ssm, "a", "new")


def test_a_list_is_text_with_commas(ssm: Any) -> None:
    put(ssm, "/list", "a,b,c", Type="StringList")
    got = ssm.get_parameter(Name="/list", WithDecryption=True)["Parameter"]
    assert (got["Type"], got["Value"]) == ("StringList", "a,b,c")


# -- names ------------------------------------------------------------------------------------------------------------

SUB_PATHS = NAME_RULE.partition(". ")[2]


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("awsome", "ValidationException", NAME_RULE),
        ("SSM-x", "ValidationException", NAME_RULE),
        ("/aws", "ValidationException", NAME_RULE),
        ("/ssm/x", "ValidationException", f'Parameter name: can\'t be prefixed with "ssm" (case-insensitive). {SUB_PATHS}'),
        ("/AWS/x", "AccessDeniedException", "No access to reserved parameter name: /AWS/x."),
        ("/aws/reference/secretsmanager/x", "AccessDeniedException", "No access to reserved parameter name: /aws/reference/secretsmanager/x."),
        ("a b", "ValidationException", NAME_RULE),
        ("a/", "ValidationException", NAME_RULE),
        ("//a", "ValidationException", NAME_RULE),
        ("/a//b", "ValidationException", NAME_RULE),
        ("a:1", "ValidationException", NAME_RULE),
        ("é", "ValidationException", NAME_RULE),
        ("arn:aws:ssm:us-east-1:123456789012:parameter/a", "ValidationException", NAME_RULE),
        ("a/b", "ValidationException", "Parameter name must be a fully qualified name."),
        ("/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16", "HierarchyLevelLimitExceededException", None),
        ("/" + "x" * 1000, "ValidationException", None),
    ],
)  # fmt: skip
def test_names_that_nothing_may_have(ssm: Any, name: str, code: str, message: str | None) -> None:
    with refused(code, message):
        put(ssm, name)


def test_the_longest_and_the_deepest_name(house: House) -> None:
    ssm = house.client("ssm")
    for name in ("/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15", "/" + "x" * (1011 - len(arn(house, "/")))):
        put(ssm, name)
        assert value(ssm, name) == "v"


# -- what is put ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "code", "message"),
    [
        ({"Type": None}, "ValidationException", "A parameter type is required when you create a parameter."),
        ({"Value": ""}, "ValidationException", "1 validation error detected: Value '' at 'value' failed to satisfy constraint: Member must have length greater than or equal to 1."),
        ({"Value": "x{{ssm:y}}"}, "ValidationException", 'Parameter value can\'t nest another parameter. Do not use "{{}}" in the value.'),
        ({"Value": "a\0b"}, "ValidationException", None),
        ({"Description": "a\0b"}, "ValidationException", None),
        ({"Type": "Text"}, "ValidationException", "1 validation error detected: Value 'Text' at 'type' failed to satisfy constraint: Member must satisfy enum value set: [String, StringList, SecureString]"),
        ({"KeyId": "alias/x"}, "ValidationException", "KeyId is required for SecureString type parameter only."),
        ({"DataType": "Text"}, "ValidationException", "The following data type is not supported: Text (Data type names are all lowercase.)"),
        ({"AllowedPattern": r"\d{1,4}", "Value": "10,000"}, "ParameterPatternMismatchException", r"Parameter value, cannot be validated against allowedPattern: \d{1,4}"),
        ({"AllowedPattern": "("}, "InvalidAllowedPatternException", None),
        ({"AllowedPattern": "(a+)+b(?<=x)"}, "InvalidAllowedPatternException", None),
        ({"Tags": [{"Key": "k", "Value": "v"}], "Overwrite": True}, "ValidationException", "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or RemoveTagsFromResource."),
        ({"Value": "x" * 4097}, "ValidationException", "Standard tier parameters support a maximum parameter value of 4096 characters. To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier. For more information, see https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html"),
        ({"Value": "é" * 2049}, "ValidationException", None),
        ({"Value": "x" * 8193, "Tier": "Advanced"}, "ValidationException", None),
        ({"Type": "SecureString", "KeyId": "alias/none"}, "InvalidKeyId", None),
        ({"Policies": '[{"Type":"NoChangeNotification","Version":"1.0","Attributes":{"After":"20","Unit":"Days"}}]'}, "IncompatiblePolicyException", None),
        ({"DataType": "json", "Value": "{}"}, "ValidationException", "The data type json requires the advanced-parameter tier."),
    ],
)  # fmt: skip
def test_what_cannot_be_put_is_refused_and_nothing_is_kept(ssm: Any, asked: dict[str, Any], code: str, message: str | None) -> None:  # fmt: skip
    params = {"Name": "/n", "Value": "v", "Type": "String", **asked}
    with refused(code, message):
        ssm.put_parameter(**{name: given for name, given in params.items() if given is not None})
    with refused("ParameterNotFound"):
        ssm.get_parameter(Name="/n")


@pytest.mark.unverified
def test_a_parameter_may_change_its_type_and_its_versions_keep_theirs(ssm: Any) -> None:
    put(ssm, "a", "hidden", Type="SecureString")
    put(ssm, "a", "open", Overwrite=True, Type="String")
    assert value(ssm, "a") == "open"
    assert "KeyId" not in ssm.describe_parameters()["Parameters"][0]
    put(ssm, "a", "hidden again", Overwrite=True, Type="SecureString")
    assert value(ssm, "a") != "hidden again"
    past = ssm.get_parameter_history(Name="a", WithDecryption=True)["Parameters"]
    assert [(each["Type"], each["Value"]) for each in past] == [
        ("SecureString", "hidden"), ("String", "open"), ("SecureString", "hidden again"),
    ]  # fmt: skip


@pytest.mark.unverified
def test_what_an_overwriting_request_leaves_out_stays_but_for_the_key(house: House) -> None:
    ssm, kms = house.client("ssm"), house.client("kms")
    kms.create_alias(AliasName="alias/own", TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])
    put(ssm, "s", "11", Type="SecureString", KeyId="alias/own", AllowedPattern=r"\d+", Description="two digits", DataType="integer")  # fmt: skip
    with refused("ParameterPatternMismatchException"):
        ssm.put_parameter(Name="s", Value="x", Overwrite=True)
    ssm.put_parameter(Name="s", Value="22", Overwrite=True)
    now = ssm.describe_parameters()["Parameters"][0]
    assert (now["Type"], now["KeyId"], now["AllowedPattern"], now["Description"], now["DataType"]) == (
        "SecureString", "alias/aws/ssm", r"\d+", "two digits", "integer",
    )  # fmt: skip
    ssm.put_parameter(Name="s", Value="any", Overwrite=True, AllowedPattern="", Description="", DataType="text")
    now = ssm.describe_parameters()["Parameters"][0]
    assert "AllowedPattern" not in now
    assert "Description" not in now


def test_a_pattern_that_would_take_forever_takes_no_time(ssm: Any) -> None:
    with refused("ParameterPatternMismatchException"):
        put(ssm, "a", "a" * 4000, AllowedPattern="(a+)+b")
    with refused("InvalidAllowedPatternException"):
        put(ssm, "a", "a" * 4000, AllowedPattern="(a?){4000}b")


FITS = [
    ("aws:region", "eu-central-1", "Frankfurt"), ("aws:account:id", "123456789012", "12345678901"), ("boolean", "true", "True"),
    ("integer", "-443", "4.5"), ("float", "4.5e-3", "4,5"), ("binary", "aGVsbG8=", "aGVsbG8"), ("hostname", "db-1.example.org", "db_1"),
    ("email", "ann@example.org", "ann@"), ("ipv4-address", "192.0.2.1", "192.0.2.256"), ("ipv6-address", "2001:db8::1", "192.0.2.1"),
    ("url", "https://example.org/x?y", "example.org"), ("json", '{"a":[1]}', "{a:1}"), ("jsonc", '{"a":"//" /* why */} // so', "{/*}"),
]  # fmt: skip


@pytest.mark.unverified
@pytest.mark.parametrize(("data_type", "good", "bad"), FITS)
def test_a_value_must_look_like_its_data_type(data_type: str, good: str, bad: str) -> None:
    domain_types.refuse_unknown(data_type)
    domain_types.refuse_value(data_type, "String", "/n", good)
    with pytest.raises(ValidationFailed) as refusal:
        domain_types.refuse_value(data_type, "String", "/n", bad)
    assert bad not in refusal.value.message


def test_each_item_of_a_list_must_look_like_the_data_type() -> None:
    domain_types.refuse_value("integer", "StringList", "/n", "1,2,3")
    with pytest.raises(ValidationFailed):
        domain_types.refuse_value("integer", "StringList", "/n", "1,x,3")


@pytest.mark.unverified
def test_integrations_and_images_have_types_and_places_of_their_own() -> None:
    webhook = f"{domain_types.WEBHOOKS}w"
    domain_types.refuse_value("aws:ssm:integration", "SecureString", webhook, "{}")
    for kind, name in (("String", webhook), ("SecureString", "/n")):
        with pytest.raises(ValidationFailed):
            domain_types.refuse_value("aws:ssm:integration", kind, name, "{}")
    with pytest.raises(UnsupportedParameterType):
        domain_types.refuse_value("aws:ec2:image", "SecureString", "/n", "ami-12345678")


def test_data_types_change_but_for_images_and_integrations(ssm: Any) -> None:
    put(ssm, "a", "1", DataType="integer")
    put(ssm, "a", "1.5", Overwrite=True, DataType="float")
    assert ssm.get_parameter(Name="a")["Parameter"]["DataType"] == "float"
    with refused("ValidationException"):
        put(ssm, "a", "ami-12345678", Overwrite=True, DataType="aws:ec2:image")


def test_what_is_no_image_is_answered_and_not_kept(ssm: Any) -> None:
    assert put(ssm, "/image", "ami-12345678", DataType="aws:ec2:image")["Version"] == 1
    assert put(ssm, "/image", "nonsense", Overwrite=True, DataType="aws:ec2:image")["Version"] == 2
    assert value(ssm, "/image") == "ami-12345678"


# -- versions ---------------------------------------------------------------------------------------------------------


def test_selectors_by_version_and_by_label(ssm_on_each: Any) -> None:
    ssm = ssm_on_each
    for number in ("one", "two", "three"):
        put(ssm, "/v", number, Overwrite=number != "one")
    ssm.label_parameter_version(Name="/v", ParameterVersion=2, Labels=["live"])
    got = ssm.get_parameter(Name="/v:live")["Parameter"]
    assert (got["Value"], got["Version"], got["Selector"], got["Name"]) == ("two", 2, ":live", "/v")
    got = ssm.get_parameter(Name="/v:1")["Parameter"]
    assert (got["Value"], got["Selector"]) == ("one", ":1")
    assert "Selector" not in ssm.get_parameter(Name="/v")["Parameter"]
    for wrong in ("4", "0", "none", "9" * 30):
        with refused("ParameterVersionNotFound", f"Systems Manager could not find version {wrong} of /v. Verify the version and try again."):  # fmt: skip
            ssm.get_parameter(Name=f"/v:{wrong}")
    with refused("ParameterNotFound", "Parameter /w not found."):
        ssm.get_parameter(Name="/w:1")
    for wrong in ("/v:", "/v:1:2"):
        with refused(
            "ValidationException",
            "Invalid parameter name. Please use correct syntax for referencing a version/label  <name>:<version/label>",
        ):
            ssm.get_parameter(Name=wrong)
    answer = ssm.get_parameters(Names=["/v:live", "/v:9", "/v", "/w", "w x", "/v:1:2"])
    assert [each["Value"] for each in answer["Parameters"]] == ["two", "three"]
    assert answer["InvalidParameters"] == ["/v:9", "/w", "w x", "/v:1:2"]


def test_a_hundred_versions_are_kept_and_a_label_holds_the_oldest(ssm: Any) -> None:
    put(ssm, "/v", "1")
    for number in range(2, 101):
        put(ssm, "/v", str(number), Overwrite=True)
    ssm.label_parameter_version(Name="/v", ParameterVersion=1, Labels=["keep"])
    with refused(
        "ParameterMaxVersionLimitExceeded",
        "You attempted to create a new version of /v by calling the PutParameter API with the overwrite flag. Version 1, the oldest "
        "version, can't be deleted because it has a label associated with it. Move the label to another version of the parameter, and "
        "try again.",
    ):
        put(ssm, "/v", "101", Overwrite=True)
    assert value(ssm, "/v:keep") == "1"
    ssm.label_parameter_version(Name="/v", ParameterVersion=2, Labels=["keep"])
    assert put(ssm, "/v", "101", Overwrite=True)["Version"] == 101
    with refused("ParameterVersionNotFound"):
        ssm.get_parameter(Name="/v:1")
    assert value(ssm, "/v:keep") == "2"


# -- several at once --------------------------------------------------------------------------------------------------


def test_get_parameters_answers_in_the_order_of_names(ssm: Any) -> None:
    for name in ("/b", "/a", "/c"):
        put(ssm, name, name)
    answer = ssm.get_parameters(Names=["/c", "/none", "/a", "/b", "/a"])
    assert [each["Name"] for each in answer["Parameters"]] == ["/a", "/b", "/c"]
    assert answer["InvalidParameters"] == ["/none"]


def test_delete_parameters_tells_what_went_and_what_was_not_there(ssm_on_each: Any) -> None:
    ssm = ssm_on_each
    put(ssm, "/a")
    put(ssm, "b")
    answer = ssm.delete_parameters(Names=["/a", "/none", "/b", "b", "x y", "/a:1"])
    assert answer["DeletedParameters"] == ["/a", "/b"]
    assert answer["InvalidParameters"] == ["/none", "x y", "/a:1"]
    assert ssm.get_parameters(Names=["/a", "b"])["Parameters"] == []


def test_arns_name_parameters_where_they_are_read_only(house: House) -> None:
    ssm = house.client("ssm")
    put(ssm, "/a/b", "x")
    by_arn = arn(house, "/a/b")
    assert value(ssm, f"{by_arn}:1") == "x"
    assert ssm.get_parameter_history(Name=by_arn)["Parameters"]
    for refuse in (
        lambda: ssm.delete_parameter(Name=by_arn),
        lambda: ssm.label_parameter_version(Name=by_arn, Labels=["x"]),
        lambda: ssm.get_parameter(Name="arn:aws:ssm:us-east-1:1:parameter/a"),
        lambda: ssm.get_parameter(Name=by_arn.replace(":parameter/", ":document/")),
    ):
        with refused("ValidationException", NAME_RULE):
            refuse()
    for elsewhere in (by_arn.replace("us-east-1", "eu-west-1"), by_arn.replace("arn:aws:", "arn:aws-cn:")):
        with refused("ParameterNotFound"):
            ssm.get_parameter(Name=elsewhere)


# -- SecureString -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tier", ["Standard", "Advanced"])
def test_a_secure_string_opens_through_kms_alone(house_on_each: House, tier: str) -> None:
    ssm, kms = house_on_each.client("ssm"), house_on_each.client("kms")
    put(ssm, "/s", "canary", Type="SecureString", Tier=tier)
    closed = ssm.get_parameter(Name="/s")["Parameter"]
    assert (closed["Type"], "canary" in closed["Value"]) == ("SecureString", False)
    assert secret(ssm, "/s") == "canary"
    assert "alias/aws/ssm" in [alias["AliasName"] for alias in kms.list_aliases()["Aliases"]]
    blob = base64.b64decode(closed["Value"])
    if tier == "Standard":
        context = {"PARAMETER_ARN": closed["ARN"]}
        with refused("AccessDeniedException"):  # the managed key opens through Parameter Store only
            kms.decrypt(CiphertextBlob=blob, EncryptionContext=context)


def test_under_a_key_of_ones_own_the_ciphertext_is_kms_s(house: House) -> None:
    ssm, kms = house.client("ssm"), house.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    put(ssm, "/s", "x" * 4096, Type="SecureString", KeyId=key)
    closed = ssm.get_parameter(Name="/s")["Parameter"]
    opened = kms.decrypt(
        CiphertextBlob=base64.b64decode(closed["Value"]), EncryptionContext={"PARAMETER_ARN": closed["ARN"]}
    )
    assert opened["Plaintext"] == b"x" * 4096
    kms.disable_key(KeyId=key)
    with refused("InvalidKeyId"):
        ssm.get_parameter(Name="/s", WithDecryption=True)
    with refused("InvalidKeyId"):
        ssm.put_parameter(Name="/s", Value="y", Overwrite=True, KeyId=key)
    assert ssm.get_parameter(Name="/s")["Parameter"]["Value"] == closed["Value"]


def test_large_values_need_the_advanced_tier_and_there_is_no_way_back(ssm: Any) -> None:
    put(ssm, "/s", "small", Type="SecureString")
    assert put(ssm, "/s", "y" * 8192, Overwrite=True, Tier="Advanced")["Tier"] == "Advanced"
    assert secret(ssm, "/s") == "y" * 8192
    assert secret(ssm, "/s:1") == "small"
    with refused(
        "ValidationException",
        "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the advanced-parameter tier to the "
        "standard-parameter tier. If necessary, you can delete the advanced parameter and recreate it as a standard parameter. Be aware "
        "that standard parameters have a value limit of 4096 characters.",
    ):
        put(ssm, "/s", "z", Overwrite=True, Tier="Standard")
    assert put(ssm, "/s", "z", Overwrite=True)["Tier"] == "Advanced"
    assert put(ssm, "/s", "z", Overwrite=True, Tier="Intelligent-Tiering")["Tier"] == "Advanced"


def test_intelligent_tiering_takes_the_advanced_tier_where_it_is_needed(ssm: Any) -> None:
    never = '[{"Type":"NoChangeNotification","Version":"1.0","Attributes":{"After":"20","Unit":"Days"}}]'
    for name, given, tier in (
        ("/1", {"Value": "v"}, "Standard"),
        ("/2", {"Value": "v" * 5000}, "Advanced"),
        ("/3", {"Value": "v", "Policies": never}, "Advanced"),
        ("/4", {"Value": "{}", "DataType": "json"}, "Advanced"),
    ):
        assert ssm.put_parameter(Name=name, Type="String", Tier="Intelligent-Tiering", **given)["Tier"] == tier
