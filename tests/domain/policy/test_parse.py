import pytest

from geumgo.domain.policy import MalformedPolicy, PolicyKind, compile_policy
from tests.domain.policy.world import OURS, SESSION, USER, allow, deny, document, trusting

ANY = {"AWS": "*"}
BUCKET = "arn:aws:s3:::example_bucket"
SYNTAX = "Syntax errors in policy."
LEGACY = "The policy failed legacy parsing"
VERSION = "Policy document must be version 2012-10-17 or greater."
NOT_OF_THIS_TYPE = "The provided policy document does not meet the requirements of the specified policy type."
NO_NOT_PRINCIPAL = "Has prohibited field NotPrincipal"
NO_ACTIONS = "Policy statement must contain actions."
NO_RESOURCES = "Policy statement must contain resources."
NO_VENDOR = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
TWO_COLONS = "Actions/Condition can contain only one colon."
TWIN_SIDS = "Statement IDs (SID) in a single policy must be unique."
IAM_PATHS = (
    'IAM resource path must either be "*" or start with user/, federated-user/, role/, group/, instance-profile/, '
    "mfa/, server-certificate/, policy/, sms-mfa/, saml-provider/, oidc-provider/, report/, access-report/."
)


def refusal(text, kind=PolicyKind.IDENTITY):
    with pytest.raises(MalformedPolicy) as caught:
        compile_policy(text, kind)
    return caught.value.message


def without(statement, *elements, **others):
    return {key: value for key, value in {**statement, **others}.items() if key not in elements}


GOOD = allow("s3:ListBucket", BUCKET)


@pytest.mark.parametrize(
    "text",
    [
        "This is not a json document",
        "",
        "[]",
        '"x"',
        "null",
        '{"Version": "2012-10-17"}',
        '{"Version": "2012-10-17", "Statement": []}',
        '{"Version": "2012-10-17", "Statement": ["afd"]}',
        '{"Version": "2012-10-17", "Statement": null}',
        '{"Version": "2013-10-17", "Statement": []}',
        '{"Version": 2012, "Statement": []}',
        document(GOOD)[:-1] + ', "Version": "2012-10-17"}',
        document(GOOD).replace('"Allow"', '"Allow", "Effect": "Deny"'),
        document(GOOD)[:-1] + ', "Extra field": "value"}',
        document(GOOD)[:-1] + ', "Id": ["a"]}',
        document(GOOD)[:-1] + ', "Id": {}}',
        document(GOOD)[:-1] + ', "Id": NaN}',
        document(GOOD)[:-1] + ', "Id": "\\ud800"}',
        document(GOOD)[:-1] + ', "Id": "\ud800"}',
        '{"Statement": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"Statement": ' + '{"a":' * 100_000,
        document(GOOD) + "}",
        '\\"' * 100_000,
        '"' + "\\" * 99_999,
    ],
)
def test_a_document_that_is_no_policy_is_a_syntax_error(text):
    assert refusal(text) == SYNTAX


@pytest.mark.parametrize(
    "statement",
    [
        {**GOOD, "Extra field": "value"},
        {**GOOD, "effect": "Allow"},
        {**GOOD, "Effect": "invalid"},
        without(GOOD, "Effect"),
        {**GOOD, "Effect": ["Allow"]},
        {**GOOD, "Resource": {"a": BUCKET}},
        {**GOOD, "Resource": ["adfdf", {}]},
        {**GOOD, "Resource": None},
        {**GOOD, "Action": [[]]},
        {**GOOD, "Action": {}},
        {**GOOD, "Action": 7},
        {**GOOD, "NotResource": []},
        {**GOOD, "NotResource": "*"},
        {**GOOD, "NotAction": "iam:dsf"},
        {**GOOD, "NotAction": []},
        {**GOOD, "Sid": {}},
        {**GOOD, "Sid": 7},
        {**GOOD, "Condition": []},
        {**GOOD, "Condition": "a"},
        {**GOOD, "Condition": {"a": "b"}},
        {**GOOD, "Condition": {"DateGreaterThan": "b"}},
        {**GOOD, "Condition": {"DateGreaterThan": []}},
        {**GOOD, "Condition": {"DateGreaterThan": {"a": {}}}},
        {**without(GOOD, "Action"), "Condition": {"DateGreaterThan": {"a": {}}}},
        {**GOOD, "Condition": {"x": {"a": "1"}}},
        {**GOOD, "Condition": {"StringEquals": {"a": None}}},
        {**GOOD, "Condition": {"StringEquals": {"a": [["b"]]}}},
        {**GOOD, "Condition": {"ForAnyValue::StringEqualsIfExists": {"a": "asf"}}},
        {**GOOD, "Condition": [{"ForAllValues:StringEquals": {"aws:TagKeys": "Department"}}]},
        {**GOOD, "Condition": {"StringEquals": {"a": "${aws:username"}}},
        {**GOOD, "Resource": "arn:aws:s3:::${aws:username"},
    ],
)
def test_a_statement_of_the_wrong_shape_is_a_syntax_error(statement):
    assert refusal(document(statement)) == SYNTAX


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ({**GOOD, "Action": "invalid"}, NO_VENDOR),
        ({**without(GOOD, "Action"), "NotAction": ""}, NO_VENDOR),
        ({**GOOD, "Action": "a a:ListBucket"}, "Vendor a a is not valid"),
        ({**GOOD, "Action": "s*:ListBucket"}, "Vendor s* is not valid"),
        ({**GOOD, "Action": "s3:List:Bucket"}, TWO_COLONS),
        ({**GOOD, "Resource": "invalid resource"}, 'Resource invalid resource must be in ARN format or "*".'),
        ({**GOOD, "Resource": ""}, 'Resource  must be in ARN format or "*".'),
        ({**GOOD, "Resource": ["adf"]}, 'Resource adf must be in ARN format or "*".'),
        ({**GOOD, "Action": "s:3:ListBucket", "Resource": "sdfsadf"}, 'Resource sdfsadf must be in ARN format or "*".'),
        (
            {**GOOD, "Resource": "a:bsdfdsafsad"},
            'Partition "bsdfdsafsad" is not valid for resource "arn:bsdfdsafsad:*:*:*:*".',
        ),
        ({**GOOD, "Resource": "a:b:cadfsdf"}, 'Partition "b" is not valid for resource "arn:b:cadfsdf:*:*:*".'),
        ({**GOOD, "Resource": "a:b:c:d:e:f:g:h"}, 'Partition "b" is not valid for resource "arn:b:c:d:e:f:g:h".'),
        (
            {**GOOD, "Resource": "aws:s3:::example_bucket"},
            'Partition "s3" is not valid for resource "arn:s3:::example_bucket:*".',
        ),
        (
            {**GOOD, "Resource": ["arn:error:s3:::example_bucket", "arn:error:s3::example_bucket"]},
            'Partition "error" is not valid for resource "arn:error:s3:::example_bucket".',
        ),
        ({**GOOD, "Resource": []}, NO_RESOURCES),
        (without(GOOD, "Resource"), NO_RESOURCES),
        (without(GOOD, "Resource", Action="invalid"), NO_VENDOR),
        (without(GOOD, "Action"), NO_ACTIONS),
        ({"Effect": "Allow"}, NO_ACTIONS),
        ({**GOOD, "Action": []}, NO_ACTIONS),
        ({**GOOD, "Resource": "arn:aws:iam:::example_bucket"}, IAM_PATHS),
        ({**GOOD, "Resource": "arn:aws:iam::111122223333:root"}, IAM_PATHS),
        ({**GOOD, "Resource": "arn:aws"}, "Resource vendor must be fully qualified and cannot contain regexes."),
        (
            {**GOOD, "Resource": "arn:aws:iam:us-east-1::example_bucket"},
            "IAM resource arn:aws:iam:us-east-1::example_bucket cannot contain region information.",
        ),
        (
            {**GOOD, "Resource": "arn:aws:s3:us-east-1::example_bucket"},
            "Resource arn:aws:s3:us-east-1::example_bucket can not contain region information.",
        ),
        ({**GOOD, "Resource": "arn:aws:s3::example_bucket"}, LEGACY),
        (without(GOOD, "Action", Resource="arn:aws:s3::example_bucket"), LEGACY),
        ({**without(GOOD, "Resource"), "NotResource": "arn:aws:s3::example_bucket"}, LEGACY),
        ({**GOOD, "Resource": "arn:aws::::example_bucket"}, LEGACY),
        ({**GOOD, "Resource": "arn:aws::fdsasf"}, LEGACY),
        ({**GOOD, "Effect": "denY"}, LEGACY),
        ({"Effect": "allow", "Resource": "arn:aws:s3:us-east-1::example_bucket"}, LEGACY),
        ({**GOOD, "Condition": {"DateGreaterThan": {"a": "sdfdsf"}}}, LEGACY),
        (without(GOOD, "Action", "Resource", Condition={"DateGreaterThan": {"a": "sdfdsf"}}), LEGACY),
        (
            {**GOOD, "Resource": "arn:error:s3:::x", "Condition": {"DateGreaterThan": {"a": "sdfdsf"}}},
            LEGACY,
        ),
        ({**GOOD, "Principal": "*"}, "Policy document should not specify a principal."),
        ({**GOOD, "NotPrincipal": ANY}, "Policy document should not specify a principal."),
    ],
)
def test_a_statement_is_refused_in_the_words_of_iam(statement, message):
    assert refusal(document(statement)) == message


@pytest.mark.parametrize(
    ("statements", "version", "message"),
    [
        ([GOOD], None, VERSION),
        ([GOOD], "2008-10-17", VERSION),
        ([{**GOOD, "Effect": "denY"}], None, VERSION),
        ([{**GOOD, "Condition": {"DateGreaterThan": {"a": "sdfdsf"}}}], None, VERSION),
        ([{**GOOD, "Sid": "sdf"}, {"Sid": "sdf", "Effect": "Allow"}], "2012-10-17", TWIN_SIDS),
        ([{**GOOD, "Sid": "sdf"}, {"Sid": "sdf", "Effect": "Allow"}], None, VERSION),
        ([{**GOOD, "Sid": "sdf", "Effect": "aLLow"}, {**GOOD, "Sid": "sdf"}], "2012-10-17", LEGACY),
        ([{"Effect": "Deny"}, GOOD], "2012-10-17", NO_ACTIONS),
        ([{**GOOD, "Action": "s3s:x"}, {**GOOD, "Action": "s:3s:x"}], "2012-10-17", TWO_COLONS),
        (
            [{**GOOD, "Sid": "two words"}],
            "2012-10-17",
            "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*",
        ),
    ],
)
def test_the_first_fault_in_the_order_of_iam_is_named(statements, version, message):
    assert refusal(document(*statements, version=version)) == message


@pytest.mark.parametrize(
    "statement",
    [
        {**GOOD, "Resource": [BUCKET, "*"]},
        {**GOOD, "Action": "iam: asdf safdsf af "},
        {**GOOD, "Action": "*"},
        {**GOOD, "Action": "service-prefix:action-name"},
        {**GOOD, "Action": "s3.s:ListBucket"},
        {**GOOD, "Resource": "arn:aws:iam:::user/example_bucket"},
        {**GOOD, "Resource": "arn:aws:iam::*:user/${aws:username}"},
        {**GOOD, "Resource": "arn:aws:iam::111122223333:*"},
        {**GOOD, "Resource": "arn:aws:iam::111122223333:role*"},
        {**GOOD, "Resource": "arn:aws:fdsasf"},
        {**GOOD, "Resource": "arn:aws:cloudwatch:us-east-1::example_bucket"},
        {**GOOD, "Resource": "arn:aws:invalid-service:::example_bucket"},
        {**GOOD, "Resource": "arn:aws-us-gov:s3:::example_bucket"},
        {**GOOD, "Resource": "arn:*:secretsmanager:*:*:secret:x"},
        {**GOOD, "Condition": {}},
        {**GOOD, "Condition": {"DateGreaterThan": {}}},
        {**GOOD, "Condition": {"DateGreaterThan": {"a": []}}},
        {**GOOD, "Condition": {"a": {}}},
        {**GOOD, "Condition": {"x": {}, "y": {}}},
        {**GOOD, "Condition": {"ForAllValues:StringEquals": {"aws:TagKeys": "Department"}}},
        {**GOOD, "Condition": {"ForAnyValue:StringEqualsIfExists": {"a": "asf"}}},
        {**GOOD, "Condition": {"Bool": {"aws:SecureTransport": True}, "NumericLessThan": {"a": [7, 7.5]}}},
        {**GOOD, "Sid": "dsfsdfsdfsdfsdfsadfsd"},
        {**GOOD, "Sid": ""},
        {**without(GOOD, "Action"), "NotAction": "s3:ListBucket"},
        deny("s3:*", BUCKET),
        {"Effect": "Allow", "NotAction": "s3:ListBucket", "NotResource": "*"},
        {
            "Effect": "Deny",
            "Action": "s3:*",
            "NotResource": ["arn:aws:s3:::HRBucket/Payroll", "arn:aws:s3:::HRBucket/Payroll/*"],
        },
    ],
)
def test_what_iam_accepts_is_accepted(statement):
    assert len(compile_policy(document(statement), PolicyKind.IDENTITY).statements) == 1


def test_statements_without_a_sid_are_no_twins():
    assert len(compile_policy(document(GOOD, GOOD, {**GOOD, "Sid": ""}), PolicyKind.IDENTITY).statements) == 3


def test_a_number_keeps_its_digits():
    condition = {"NumericEquals": {"aws:k": 12345678901234567890123}}
    compile_policy(document(allow(Condition=condition)), PolicyKind.IDENTITY)
    assert refusal(document(allow(Condition=condition)).replace("123}", "123" + "0" * 5000 + "}")) == LEGACY


@pytest.mark.parametrize("kind", [PolicyKind.RESOURCE, PolicyKind.KEY, PolicyKind.SESSION])
@pytest.mark.parametrize("version", [None, "2008-10-17", "2012-10-17"])
def test_policies_of_resources_and_sessions_may_have_any_version(kind, version):
    named = {} if kind is PolicyKind.SESSION else {"Principal": ANY}
    assert compile_policy(document({**GOOD, **named}, version=version), kind).statements


@pytest.mark.parametrize("kind", [PolicyKind.SERVICE_CONTROL, PolicyKind.RESOURCE_CONTROL])
@pytest.mark.parametrize("version", [None, "2008-10-17"])
def test_policies_that_organizations_keeps_must_have_the_newest_version(kind, version):
    named = {} if kind is PolicyKind.SERVICE_CONTROL else {"Principal": "*"}
    assert refusal(document({**deny("kms:*"), **named}, version=version), kind) == NOT_OF_THIS_TYPE
    assert compile_policy(document({**deny("kms:*"), **named}), kind).statements


@pytest.mark.parametrize("kind", [PolicyKind.SESSION, PolicyKind.BOUNDARY, PolicyKind.SERVICE_CONTROL])
def test_a_policy_of_a_principal_names_no_principal(kind):
    assert refusal(document({**GOOD, "Principal": ANY}), kind) == "Policy document should not specify a principal."


@pytest.mark.parametrize("kind", [PolicyKind.RESOURCE, PolicyKind.KEY, PolicyKind.RESOURCE_CONTROL])
def test_a_policy_of_a_resource_names_its_principals_and_resources(kind):
    assert refusal(document(GOOD), kind) == "Missing required field Principal"
    assert refusal(document(without(GOOD, "Resource", Principal=ANY)), kind) == NO_RESOURCES
    assert compile_policy(document({**GOOD, "Principal": "*", "Sid": "two words"}), kind).statements


@pytest.mark.parametrize(
    "principal",
    [
        "*",
        {"AWS": "*"},
        {"AWS": OURS},
        {"AWS": f"arn:aws:iam::{OURS}:root"},
        {"AWS": [USER, f"arn:aws:iam::{OURS}:role/a/b/app", SESSION, f"arn:aws:sts::{OURS}:federated-user/bob"]},
        {"AWS": ["AIDACKCEVSQ6C2EXAMPLE", "AROADBQP57FF2AEXAMPLE"]},
        {"AWS": f"arn:aws-us-gov:iam::{OURS}:user/ann"},
        {"Service": ["lambda.amazonaws.com", "ecs-tasks.amazonaws.com"], "AWS": OURS},
        {"Federated": "accounts.google.com"},
        {"Federated": f"arn:aws:iam::{OURS}:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/ABC"},
        {"Federated": f"arn:aws:iam::{OURS}:saml-provider/corp"},
        {"CanonicalUser": "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"},
    ],
)
def test_every_form_of_principal_is_accepted(principal):
    compile_policy(document({**GOOD, "Principal": principal}), PolicyKind.RESOURCE)


@pytest.mark.parametrize(
    ("principal", "shown"),
    [
        ("ann", '"AWS":"ann"'),
        ({"AWS": ""}, '"AWS":""'),
        ({"AWS": "11112222333"}, '"AWS":"11112222333"'),
        ({"AWS": f"arn:aws:iam::{OURS}:user/*"}, f'"AWS":"arn:aws:iam::{OURS}:user/*"'),
        ({"AWS": f"arn:aws:iam::{OURS}:role/*/app"}, f'"AWS":"arn:aws:iam::{OURS}:role/*/app"'),
        ({"AWS": f"arn:aws:iam::{OURS}:role/te?m/app"}, f'"AWS":"arn:aws:iam::{OURS}:role/te?m/app"'),
        ({"AWS": f"arn:aws:iam::{OURS}:group/admins"}, f'"AWS":"arn:aws:iam::{OURS}:group/admins"'),
        ({"AWS": f"arn:aws:iam::{OURS}:*"}, f'"AWS":"arn:aws:iam::{OURS}:*"'),
        ({"AWS": f"arn:aws:sts::{OURS}:assumed-role/app/*"}, f'"AWS":"arn:aws:sts::{OURS}:assumed-role/app/*"'),
        ({"Service": "*"}, '"SERVICE":"*"'),
        ({"Service": "lambda"}, '"SERVICE":"lambda"'),
        ({"Federated": "*"}, '"FEDERATED":"*"'),
        ({"CanonicalUser": "x"}, '"CANONICALUSER":"x"'),
        ({"Group": "x"}, '"GROUP":"x"'),
        ({"AWS": "٠١٢٣٤٥٦٧٨٩٠١"}, '"AWS":"٠١٢٣٤٥٦٧٨٩٠١"'),
    ],
)
def test_a_principal_of_no_known_form_is_refused(principal, shown):
    message = f"Invalid principal in policy: {shown}"
    assert refusal(document({**GOOD, "Principal": principal}), PolicyKind.RESOURCE) == message


@pytest.mark.parametrize("principal", [{}, {"AWS": []}, {"AWS": {}}, {"AWS": None}, [], None, 7, {"AWS": [7]}])
def test_a_principal_of_the_wrong_shape_is_a_syntax_error(principal):
    assert refusal(document({**GOOD, "Principal": principal}), PolicyKind.RESOURCE) == SYNTAX


def test_both_principal_and_not_principal_are_a_syntax_error():
    assert refusal(document({**deny(), "Principal": ANY, "NotPrincipal": ANY}), PolicyKind.RESOURCE) == SYNTAX


@pytest.mark.unverified
def test_not_principal_stands_only_beside_deny():
    compile_policy(document({**deny(), "NotPrincipal": {"AWS": USER}}), PolicyKind.RESOURCE)
    assert refusal(document({**allow(), "NotPrincipal": {"AWS": USER}}), PolicyKind.RESOURCE) == SYNTAX
    assert refusal(document({**allow(), "NotPrincipal": {"AWS": USER}}), PolicyKind.KEY) == SYNTAX


@pytest.mark.parametrize("statement", [allow(), deny()])
def test_a_resource_control_policy_has_no_not_principal(statement):
    text = document({**statement, "NotPrincipal": {"AWS": OURS}})
    assert refusal(text, PolicyKind.RESOURCE_CONTROL) == NOT_OF_THIS_TYPE


def distrusting(effect="Deny", listed=OURS):
    return document({"Effect": effect, "NotPrincipal": {"AWS": listed}, "Action": "sts:AssumeRole"})


@pytest.mark.unverified
@pytest.mark.parametrize("effect", ["Allow", "Deny", "deny"])
def test_a_trust_policy_has_no_not_principal(effect):
    assert refusal(distrusting(effect), PolicyKind.TRUST) == NO_NOT_PRINCIPAL


def test_a_trust_policy_that_was_stored_with_a_not_principal_still_denies():
    kept = compile_policy(distrusting(), PolicyKind.TRUST, stored=True)
    assert not kept.statements[0].allows


@pytest.mark.parametrize("kind", PolicyKind)
def test_no_stored_policy_allows_by_a_not_principal(kind):
    with pytest.raises(MalformedPolicy):
        compile_policy(distrusting("Allow"), kind, stored=True)


@pytest.mark.parametrize("kind", PolicyKind)
def test_a_stored_document_is_read_as_strictly_as_a_new_one(kind):
    for text in (document(GOOD, {"Effect": "Deny"}), document(trusting(ANY, "x")), document(GOOD, version=None) + "}"):
        with pytest.raises(MalformedPolicy):
            compile_policy(text, kind, stored=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "This policy contains invalid Json"),
        (document({**trusting(ANY), "Resource": "*"}), "Has prohibited field Resource"),
        (document({**trusting(ANY), "NotResource": "*"}), "Has prohibited field Resource"),
        (document({**trusting(ANY), "Comment": "x"}), "Unknown field Comment"),
        (document(trusting(ANY))[:-1] + ', "Comment": "x"}', "Unknown field Comment"),
        (document({"Effect": "Allow", "Action": "sts:AssumeRole"}), "Missing required field Principal"),
        (document(trusting("*")), 'AssumeRolepolicy contained an invalid principal: "STAR":"*".'),
        (document(trusting({"AWS": "ann"})), 'Invalid principal in policy: "AWS":"ann"'),
        (
            document(trusting(ANY, "s3:GetObject")),
            "Trust Policy statement actions can only be sts:AssumeRole, sts:AssumeRoleWithSAML,  and sts:AssumeRoleWithWebIdentity",
        ),
        (
            document(trusting(ANY, "*")),
            "Trust Policy statement actions can only be sts:AssumeRole, sts:AssumeRoleWithSAML,  and sts:AssumeRoleWithWebIdentity",
        ),
    ],
)
def test_a_trust_policy_is_refused_in_the_words_of_iam(text, message):
    assert refusal(text, PolicyKind.TRUST) == message


def test_a_trust_policy_names_principals_and_no_resources():
    statement = trusting({"AWS": [OURS, USER], "Service": "lambda.amazonaws.com"}, ["sts:AssumeRole", "sts:TagSession"])
    assert compile_policy(document(statement, version="2008-10-17"), PolicyKind.TRUST).statements


def test_a_policy_keeps_its_document_and_name():
    text = document(GOOD)
    policy = compile_policy(text, PolicyKind.IDENTITY, name="arn:aws:iam::1:policy/x")
    assert (policy.document, policy.name, policy.kind) == (text, "arn:aws:iam::1:policy/x", PolicyKind.IDENTITY)
    assert policy.statements[0].action_names == ("s3:ListBucket",)
    assert policy.statements[0].resource_names == (BUCKET,)
