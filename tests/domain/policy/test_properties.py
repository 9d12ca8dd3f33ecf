"""What holds for every set of policies, whatever they say."""

import json
from dataclasses import replace
from fnmatch import fnmatchcase

from hypothesis import given
from hypothesis import strategies as st

from geumgo.domain.policy import (
    Asked,
    Context,
    MalformedPolicy,
    PolicyKind,
    Standing,
    compile_policy,
    decide,
    denial_tail,
)
from tests.domain.policy.world import (
    FEDERATED,
    GET,
    KEY,
    OURS,
    ROLE,
    SECRET,
    SESSION,
    THEIRS,
    USER,
    ann,
    app,
    bob,
    document,
    eve,
    function,
    identity,
    nobody,
    root,
    web,
)

ACTIONS = [GET, "secretsmanager:*", "secretsmanager:Get*", "*", "kms:Decrypt", "kms:*", "secretsmanager:?etSecretValue"]
RESOURCES = [
    "*",
    SECRET,
    KEY,
    "arn:aws:secretsmanager:*:*:secret:prod/*",
    "arn:aws:secretsmanager:*:*:secret:${aws:username}/*",
]
PRINCIPALS = [
    "*",
    {"AWS": "*"},
    {"AWS": OURS},
    {"AWS": THEIRS},
    {"AWS": USER},
    {"AWS": [ROLE, FEDERATED]},
    {"AWS": [SESSION, eve.arn]},
    {"Service": "lambda.amazonaws.com"},
]
KEYS = ["aws:username", "aws:SourceIp", "aws:TagKeys", "aws:n"]
VALUES = ["prod", "*", "10.0.0.1", "7", "true", "${aws:username}"]
CONDITIONS = st.dictionaries(
    st.builds(
        lambda quantifier, name, suffix: f"{quantifier}{name}{suffix}",
        st.sampled_from(["", "ForAllValues:", "ForAnyValue:"]),
        st.sampled_from(["StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "ArnNotLike"]),
        st.sampled_from(["", "IfExists"]),
    ),
    st.dictionaries(st.sampled_from(KEYS), st.lists(st.sampled_from(VALUES), max_size=2), max_size=2),
    max_size=2,
)


def some_of(values):
    return st.lists(st.sampled_from(values), min_size=1, max_size=2)


@st.composite
def statements(draw, *, effect=None, principal=False):
    chosen = effect or draw(st.sampled_from(["Allow", "Deny"]))
    statement = {"Effect": chosen, draw(st.sampled_from(["Action", "NotAction"])): draw(some_of(ACTIONS))}
    statement[draw(st.sampled_from(["Resource", "NotResource"]))] = draw(some_of(RESOURCES))
    if draw(st.booleans()):
        statement["Condition"] = draw(CONDITIONS)
    if principal:
        negated = chosen == "Deny" and draw(st.booleans())
        element = draw(st.sampled_from(PRINCIPALS))
        statement["NotPrincipal" if negated else "Principal"] = element
    return statement


def policies(kind, **options):
    return st.lists(statements(**options), min_size=1, max_size=3).map(
        lambda found: compile_policy(document(*found), kind, name=kind.name)
    )


IDENTITY = policies(PolicyKind.IDENTITY)
CONTROL = policies(PolicyKind.SERVICE_CONTROL)
STANDINGS = st.fixed_dictionaries(
    {
        "identity": st.lists(IDENTITY, max_size=2).map(tuple),
        "boundary": st.none() | policies(PolicyKind.BOUNDARY),
        "session": st.none() | st.lists(policies(PolicyKind.SESSION), max_size=2).map(tuple),
        "resource": st.none() | policies(PolicyKind.RESOURCE, principal=True),
        "resource_rule": st.sampled_from(["either", "required"]),
        "service_control": st.lists(st.lists(CONTROL, max_size=2), max_size=1),
        "grant": st.none() | st.none() | st.just("g1"),
    }
).map(lambda fields: Standing(**fields))
CONTEXTS = st.dictionaries(
    st.sampled_from(KEYS), st.lists(st.sampled_from(["prod", "*", "10.0.0.1", "x"]), max_size=2).map(tuple), max_size=3
)
QUESTIONS = st.tuples(
    st.sampled_from([ann, app, root, bob, eve, function, nobody, web]),
    st.sampled_from([GET, "secretsmanager:PutSecretValue", "kms:Decrypt"]),
    st.sampled_from([SECRET, KEY, "*"]),
    st.sampled_from([OURS, THEIRS]),
    CONTEXTS.map(Context),
).map(lambda fields: Asked(*fields))


def with_statement(policy, statement, *, first):
    """The policy with one statement more."""
    found = json.loads(policy.document)["Statement"]
    return compile_policy(
        document(*([statement, *found] if first else [*found, statement])), policy.kind, name=policy.name
    )


def everywhere(standing, statement, named, *, first):
    """The standings in which one policy has one statement more. `named` is the statement for a policy that names principals."""
    if standing.identity:
        more = with_statement(standing.identity[0], statement, first=first)
        yield standing._replace(identity=(more, *standing.identity[1:]))
    if standing.boundary:
        yield standing._replace(boundary=with_statement(standing.boundary, statement, first=first))
    if standing.session:
        more = with_statement(standing.session[0], statement, first=first)
        yield standing._replace(session=(more, *standing.session[1:]))
    if standing.resource:
        yield standing._replace(resource=with_statement(standing.resource, named, first=first))


@given(asked=QUESTIONS, standing=STANDINGS, named=statements(effect="Deny", principal=True), first=st.booleans())
def test_a_deny_more_never_widens(asked, standing, named, first):
    bare = {key: value for key, value in named.items() if key not in ("Principal", "NotPrincipal")}
    before = decide(asked, standing).allowed
    for after in everywhere(standing, bare, named, first=first):
        assert before or not decide(asked, after).allowed
    assert before or not decide(asked, standing._replace(identity=(*standing.identity, identity(bare)))).allowed


@given(asked=QUESTIONS, standing=STANDINGS, named=statements(effect="Allow", principal=True), first=st.booleans())
def test_an_allow_more_never_narrows(asked, standing, named, first):
    bare = {key: value for key, value in named.items() if key != "Principal"}
    before = decide(asked, standing).allowed
    for after in everywhere(standing, bare, named, first=first):
        assert not before or decide(asked, after).allowed
    assert not before or decide(asked, standing._replace(identity=(identity(bare), *standing.identity))).allowed


def turned(policy):
    found = json.loads(policy.document)["Statement"]
    return compile_policy(document(*reversed(found)), policy.kind, name=policy.name)


@given(asked=QUESTIONS, standing=STANDINGS)
def test_the_order_of_statements_and_policies_never_matters(asked, standing):
    other = standing._replace(
        identity=tuple(turned(policy) for policy in reversed(standing.identity)),
        boundary=standing.boundary and turned(standing.boundary),
        session=standing.session and tuple(turned(policy) for policy in reversed(standing.session)),
        resource=standing.resource and turned(standing.resource),
        service_control=[[turned(policy) for policy in reversed(level)] for level in standing.service_control],
    )
    one, two = decide(asked, standing), decide(asked, other)
    assert (one.allowed, one.reason) == (two.allowed, two.reason)


@given(asked=QUESTIONS, standing=STANDINGS)
def test_the_case_of_an_action_never_matters(asked, standing):
    expected = decide(asked, standing)
    assert decide(asked._replace(action=asked.action.swapcase()), standing) == expected
    assert decide(asked._replace(action=asked.action.upper()), standing) == expected


@given(
    found=st.lists(statements(), min_size=1, max_size=6), action=st.sampled_from([GET, "KMS:decrypt", "iam:GetUser"])
)
def test_the_index_finds_what_a_scan_of_the_document_finds(found, action):
    def speaks(statement):
        names = statement.get("Action") or statement["NotAction"]
        return any(fnmatchcase(action.lower(), name.lower()) for name in names) is ("Action" in statement)

    denying, allowing = compile_policy(document(*found), PolicyKind.IDENTITY).speaking_of(action)
    scanned = [number for number, statement in enumerate(found, 1) if speaks(statement)]
    assert sorted(statement.number for statement in denying + allowing) == scanned
    assert not any(statement.allows for statement in denying)
    assert all(statement.allows for statement in allowing)


@given(asked=QUESTIONS, standing=STANDINGS)
def test_a_decision_is_the_same_every_time(asked, standing):
    assert decide(asked, standing) == decide(asked, standing)


@given(asked=QUESTIONS, standing=STANDINGS)
def test_a_denial_always_has_a_tail_and_an_allow_a_source(asked, standing):
    decision = decide(asked, standing)
    if decision.allowed:
        assert decision.statement or decision.reason.name == "ALLOWED_AS_ROOT"
    else:
        tail = denial_tail(decision, asked.action)
        assert tail.startswith(("because no ", "with an explicit deny in "))
        assert "{" not in tail


@given(asked=QUESTIONS, standing=STANDINGS)
def test_without_any_policy_only_a_root_user_of_the_account_may(asked, standing):
    bare = decide(asked, Standing())
    assert bare.allowed == (asked.principal.kind == "Root" and asked.principal.account == asked.resource_account)


@given(asked=QUESTIONS, standing=STANDINGS)
def test_an_organization_that_allows_nothing_allows_nothing(asked, standing):
    if asked.principal.account:
        assert (
            asked.principal.kind == "WebIdentity" or not decide(asked, standing._replace(service_control=[[]])).allowed
        )


@given(value=st.text(min_size=1, max_size=12), text=st.text(max_size=12))
def test_the_value_of_a_variable_is_never_a_wildcard(value, text):
    condition = {"StringLike": {"aws:k": "${aws:username}"}}
    own = identity({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition})
    asked = Asked(ann, GET, SECRET, OURS, Context({"aws:username": (value,), "aws:k": (text,)}))
    assert decide(asked, Standing((own,))).allowed == (value == text)


@given(value=st.text("ab*?/", min_size=1, max_size=6), name=st.text("ab*?/", min_size=1, max_size=6))
def test_the_value_of_a_variable_in_a_resource_is_never_a_wildcard(value, name):
    own = identity({"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::home/${aws:username}"})
    asked = Asked(ann, "s3:GetObject", f"arn:aws:s3:::home/{name}", OURS, Context({"aws:username": (value,)}))
    assert decide(asked, Standing((own,))).allowed == (value == name)


@given(asked=QUESTIONS, standing=STANDINGS)
def test_a_namesake_in_another_account_is_a_stranger(asked, standing):
    namesake = replace(ann, account=THEIRS, arn=USER.replace(OURS, THEIRS), unique_id="AIDASTRANGERSTRANGER1")
    only_ann = {"Effect": "Allow", "Principal": {"AWS": [USER, OURS]}, "Action": "*", "Resource": "*"}
    standing = standing._replace(resource=compile_policy(document(only_ann), PolicyKind.RESOURCE), grant=None)
    assert not decide(asked._replace(principal=namesake, resource_account=OURS), standing).allowed


def is_policy_or_refused(text, kind):
    """Whether compiling gives a policy or a refusal that says why; anything else that is raised comes through."""
    try:
        return bool(compile_policy(text, kind).statements)
    except MalformedPolicy as refused:
        return bool(refused.message)


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["*", "s3:*", "${a", "\ud800", ""])
ELEMENTS = ["Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "NotPrincipal", "Condition", "Sid"]
NAMES = st.sampled_from([*ELEMENTS, "Version", "Statement", "Id", "AWS", "StringLike", "Null", "DateEquals", "aws:k"])
FLAT = LEAVES | st.lists(LEAVES, max_size=3) | st.dictionaries(NAMES, LEAVES, max_size=3)
DEEPER = FLAT | st.lists(FLAT, max_size=3) | st.dictionaries(NAMES, FLAT, max_size=4)
SHAPES = DEEPER | st.lists(DEEPER, max_size=2) | st.dictionaries(NAMES, DEEPER, max_size=5)


@given(SHAPES, st.sampled_from(PolicyKind), statements(principal=True), st.sampled_from(ELEMENTS))
def test_any_document_is_a_policy_or_refused(shape, kind, statement, element):
    whole = {"Version": "2012-10-17", "Statement": [statement, {**statement, element: shape}]}
    for text in (json.dumps(shape), json.dumps(whole), json.dumps({"Version": "2012-10-17", "Statement": shape})):
        assert is_policy_or_refused(text, kind)


@given(text=st.text(max_size=60))
def test_any_text_is_a_policy_or_refused(text):
    assert is_policy_or_refused(text, PolicyKind.RESOURCE)
