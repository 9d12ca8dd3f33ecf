"""Conformance packs: the five rules in one go."""

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from geumgo.services.config.domain_packs import InvalidTemplate, rules_of
from geumgo.services.config.domain_rules import MANAGED, refuse_parameters
from tests.services.config.conftest import Watched
from tests.services.config.test_rules import refused

TEMPLATE = """
# As AWS's sample packs are written
Parameters:
  UnusedParamUnusedForDays:
    Default: '30'
    Type: String
  CmkParamKmsKeyArns:
    Default: ''
    Type: String
Resources:
  Unused:
    Properties:
      ConfigRuleName: secretsmanager-secret-unused
      InputParameters:
        unusedForDays:
          Fn::If:
          - unusedParamUnusedForDays
          - Ref: UnusedParamUnusedForDays
          - Ref: AWS::NoValue
      MaximumExecutionFrequency: One_Hour
      Source:
        Owner: AWS
        SourceIdentifier: SECRETSMANAGER_SECRET_UNUSED
    Type: AWS::Config::ConfigRule
  Cmk:
    Properties:
      ConfigRuleName: secretsmanager-using-cmk
      InputParameters:
        kmsKeyArns:
          Fn::If:
          - cmkParamKmsKeyArns
          - Ref: CmkParamKmsKeyArns
          - Ref: AWS::NoValue
      Scope:
        ComplianceResourceTypes:
        - AWS::SecretsManager::Secret
      Source:
        Owner: AWS
        SourceIdentifier: SECRETSMANAGER_USING_CMK
    Type: AWS::Config::ConfigRule
Conditions:
  unusedParamUnusedForDays:
    Fn::Not:
    - Fn::Equals:
      - ''
      - Ref: UnusedParamUnusedForDays
  cmkParamKmsKeyArns:
    Fn::Not:
    - Fn::Equals:
      - ''
      - Ref: CmkParamKmsKeyArns
"""


def test_a_template_gives_rules():
    found = rules_of(TEMPLATE, {"UnusedParamUnusedForDays": "7"})
    assert found["secretsmanager-secret-unused"]["InputParameters"] == '{"unusedForDays":"7"}'
    assert "InputParameters" not in found["secretsmanager-using-cmk"]
    assert found["secretsmanager-using-cmk"]["Scope"] == {"ComplianceResourceTypes": ["AWS::SecretsManager::Secret"]}


def test_the_pack_that_comes_along_has_the_five_rules():
    text = (Path(__file__).parents[3] / "docs" / "operate" / "conformance-pack-secrets.yaml").read_text()
    assert {rule["Source"]["SourceIdentifier"] for rule in rules_of(text, {}).values()} == set(MANAGED)
    for rule in rules_of(text, {"RotationEnabledCheckParamMaximumAllowedRotationFrequency": "30"}).values():
        refuse_parameters(rule["Source"]["SourceIdentifier"], rule.get("InputParameters"))


RULE = {
    "Type": "AWS::Config::ConfigRule",
    "Properties": {"Source": {"Owner": "AWS", "SourceIdentifier": "SECRETSMANAGER_USING_CMK"}},
}


def template(**parts: Any) -> str:
    return json.dumps({"Resources": {"One": RULE}, **parts})


def changed(**properties: Any) -> str:
    return json.dumps({"Resources": {"One": {**RULE, "Properties": {**RULE["Properties"], **properties}}}})  # type: ignore[dict-item]


def condition(value: Any, **more: Any) -> str:
    return template(Resources={"One": {**RULE, "Condition": "c"}}, Conditions={"c": value, **more})


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "Resources: {}", "a: &b c", template(Mappings={}), template(Parameters={"P": {}}), template(Parameters=["x"]),
        template(Resources={"One": {"Type": "AWS::S3::Bucket", "Properties": {}}}), template(Resources={"One": "x"}),
        template(Resources={f"R{number}": RULE for number in range(131)}),
        changed(Other="x"), changed(Description={"Ref": "P"}), changed(Description={"Fn::Sub": "x"}), changed(Description=["x"]),
        changed(Description={"Fn::If": ["c", "x", "y"]}), changed(Description={"Fn::If": ["x"]}), changed(MaximumExecutionFrequency="Daily"),
        changed(Scope="x"), changed(Scope={"ComplianceResourceTypes": "x"}), changed(Source={}), changed(Source="x"), changed(InputParameters="x"),
        changed(ConfigRuleName=""), changed(ConfigRuleName="x" * 129), changed(Source={"Owner": "CUSTOM_POLICY"}),
        condition("c"), condition({"Fn::Not": ["d"]}), condition({"Fn::Not": [{"Condition": "c"}]}), condition({"Fn::Equals": ["x"]}), condition(3),
    ],
)  # fmt: skip
def test_templates_that_cannot_be(text):
    with pytest.raises(InvalidTemplate):
        rules_of(text, {})


@pytest.mark.parametrize(
    ("value", "holds"),
    [
        ({"Fn::Equals": ["a", "a"]}, True),
        ({"Fn::And": [{"Condition": "yes"}, {"Fn::Not": [{"Condition": "no"}]}]}, True),
        ({"Fn::Or": [{"Condition": "no"}, {"Condition": "no"}]}, False),
    ],
)
def test_a_rule_is_there_if_its_condition_holds(value, holds):
    yes, no = {"Fn::Equals": ["a", "a"]}, {"Fn::Equals": ["a", "b"]}
    assert bool(rules_of(condition(value, yes=yes, no=no), {})) == holds


def test_a_pack_is_put_judged_changed_and_deleted(place_on_each: Watched) -> None:
    place, config = place_on_each, place_on_each.config
    arns = [place.secrets.create_secret(Name=f"s{number}", SecretString="x")["ARN"] for number in range(3)]
    arn = config.put_conformance_pack(
        ConformancePackName="secrets",
        TemplateBody=TEMPLATE,
        ConformancePackInputParameters=[{"ParameterName": "UnusedParamUnusedForDays", "ParameterValue": "60"}],
    )["ConformancePackArn"]
    assert arn.startswith(f"arn:aws:config:us-east-1:{place.house.account}:conformance-pack/secrets/conformance-pack-")
    (shown,) = config.describe_conformance_packs()["ConformancePackDetails"]
    assert (shown["ConformancePackArn"], shown["ConformancePackInputParameters"][0]["ParameterValue"]) == (arn, "60")
    (status,) = config.describe_conformance_pack_status(ConformancePackNames=["secrets"])[
        "ConformancePackStatusDetails"
    ]
    assert status["ConformancePackState"] == "CREATE_COMPLETE"
    rules = {rule["ConfigRuleName"]: rule for rule in config.describe_config_rules()["ConfigRules"]}
    assert sorted(rules) == [
        f"secretsmanager-{each}-{shown['ConformancePackId']}" for each in ("secret-unused", "using-cmk")
    ]
    unused, cmk = sorted(rules)
    assert rules[unused]["InputParameters"] == '{"unusedForDays":"60"}'
    assert {rule["CreatedBy"] for rule in rules.values()} == {"config-conforms.amazonaws.com"}
    refused("ResourceInUseException", config.delete_config_rule, ConfigRuleName=cmk)
    with pytest.raises(ClientError, match="ResourceInUseException"):
        config.put_config_rule(ConfigRule={"ConfigRuleName": cmk, "Source": rules[cmk]["Source"]})

    place.house.run_jobs()
    told = config.describe_conformance_pack_compliance(ConformancePackName="secrets")[
        "ConformancePackRuleComplianceList"
    ]
    assert [(each["ConfigRuleName"], each["ComplianceType"]) for each in told] == [
        (unused, "COMPLIANT"),
        (cmk, "NON_COMPLIANT"),
    ]
    (summary,) = config.get_conformance_pack_compliance_summary(ConformancePackNames=["secrets"])["ConformancePackComplianceSummaryList"]  # fmt: skip
    assert summary["ConformancePackComplianceStatus"] == "NON_COMPLIANT"
    found: list[tuple[str, str, str]] = []
    token: dict[str, str] = {}
    while True:
        page = config.get_conformance_pack_compliance_details(ConformancePackName="secrets", Limit=2, **token)
        for each in page["ConformancePackRuleEvaluationResults"]:
            qualifier = each["EvaluationResultIdentifier"]["EvaluationResultQualifier"]
            found.append((qualifier["ConfigRuleName"], qualifier["ResourceId"], each["ComplianceType"]))
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert sorted(found) == sorted(
        [(unused, each, "COMPLIANT") for each in arns] + [(cmk, each, "NON_COMPLIANT") for each in arns]
    )
    only = config.get_conformance_pack_compliance_details(ConformancePackName="secrets", Filters={"ConfigRuleNames": [cmk], "ResourceIds": arns[:1]})  # fmt: skip
    assert len(only["ConformancePackRuleEvaluationResults"]) == 1

    config.put_conformance_pack(ConformancePackName="secrets", TemplateBody=template())
    assert [rule["ConfigRuleName"] for rule in config.describe_config_rules()["ConfigRules"]] == [f"One-{shown['ConformancePackId']}"]  # fmt: skip
    (status,) = config.describe_conformance_pack_status()["ConformancePackStatusDetails"]
    assert status["ConformancePackState"] == "UPDATE_COMPLETE"
    config.delete_conformance_pack(ConformancePackName="secrets")
    assert config.describe_config_rules()["ConfigRules"] == []
    assert config.describe_conformance_packs()["ConformancePackDetails"] == []


def test_packs_that_cannot_be(place: Watched) -> None:
    config = place.config
    refused(
        "ConformancePackTemplateValidationException",
        config.put_conformance_pack,
        ConformancePackName="p",
        TemplateBody="x",
    )
    wrong = changed(InputParameters={"unusedForDays": "3"})
    said = refused(
        "ConformancePackTemplateValidationException",
        config.put_conformance_pack,
        ConformancePackName="p",
        TemplateBody=wrong,
    )
    assert "Unknown parameters" in said
    refused(
        "InvalidParameterValueException", config.put_conformance_pack, ConformancePackName="p", TemplateS3Uri="s3://a/b"
    )
    refused("NoSuchConformancePackException", config.delete_conformance_pack, ConformancePackName="p")
    refused("NoSuchConformancePackException", config.describe_conformance_pack_status, ConformancePackNames=["p"])
    config.put_conformance_pack(ConformancePackName="p", TemplateBody=template())
    refused("NoSuchConfigRuleInConformancePackException", config.describe_conformance_pack_compliance, ConformancePackName="p", Filters={"ConfigRuleNames": ["x"]})  # fmt: skip
    config.delete_configuration_recorder(ConfigurationRecorderName="default")
    refused(
        "InvalidParameterValueException", config.put_conformance_pack, ConformancePackName="q", TemplateBody=template()
    )
