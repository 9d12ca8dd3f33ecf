"""What a policy decision costs, in microseconds of one core.

python -m tests.bench.bench_policy
"""

import json
import time
from collections.abc import Callable, Mapping

from geumgo.domain.policy import (
    Asked,
    Context,
    Policy,
    PolicyKind,
    PolicyPrincipal,
    Standing,
    compile_policy,
    decide,
)

ACCOUNT = "111122223333"
SECRET = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:prod/db-a1B2c3"
ROLE = PolicyPrincipal(
    "AssumedRole",
    ACCOUNT,
    f"arn:aws:sts::{ACCOUNT}:assumed-role/app/i-0123456789abcdef0",
    "AROAAPPAPPAPPAPPAPP01:i-0123456789abcdef0",
    f"arn:aws:iam::{ACCOUNT}:role/app",
    "AROAAPPAPPAPPAPPAPP01",
)
REQUEST = {
    "aws:SourceIp": ("203.0.113.9",),
    "aws:SecureTransport": ("true",),
    "aws:CurrentTime": ("2026-11-24T00:00:00Z",),
}
CALLER = {
    "aws:PrincipalTag/team": ("red",),
    "aws:PrincipalArn": (ROLE.role_arn or "",),
    "aws:userid": (ROLE.unique_id,),
}
TARGET = {"aws:ResourceTag/team": ("red",), "secretsmanager:SecretId": (SECRET,)}
Statement = Mapping[str, object]
ROUNDS, REPEATS = 20_000, 5


def statement(action: str, resource: str = "*", **elements: object) -> Statement:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **elements}


def compiled(*statements: Statement, kind: PolicyKind = PolicyKind.IDENTITY) -> Policy:
    return compile_policy(json.dumps({"Version": "2012-10-17", "Statement": statements}), kind)


def simple() -> Standing:
    return Standing((compiled(statement("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:*:*:secret:prod/*")),))


def typical() -> Standing:
    """Two identity policies, a resource policy that denies in the clear, one condition on tags."""
    same_team = {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}
    in_the_clear = {"Effect": "Deny", "Principal": "*", "Action": "secretsmanager:*", "Resource": "*"}
    guard = {**in_the_clear, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    return Standing(
        (compiled(statement("kms:*")), compiled(statement("secretsmanager:Get*", Condition=same_team))),
        resource=compiled(guard, kind=PolicyKind.RESOURCE),
    )


def ten_policies() -> Standing:
    """Ten attached policies whose conditions must all be looked at before the last one allows."""
    elsewhere = {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}, "DateGreaterThan": {"aws:CurrentTime": "2020-01-01"}}
    here = {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}, "ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/app"}}
    return Standing(
        (
            *(compiled(statement("secretsmanager:*", SECRET, Condition=elsewhere)) for _ in range(9)),
            compiled(statement("secretsmanager:*", SECRET, Condition=here)),
        )
    )


def large_documents() -> Standing:
    """An identity policy of 6 KB and a resource policy of 6 KB, every statement about this action."""
    own = [statement("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:*:*:secret:app{n}/*") for n in range(45)]
    others = [
        {**statement("secretsmanager:Get*"), "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/app{n}"}}
        for n in range(40)
    ]
    return Standing(
        (compiled(*own, statement("secretsmanager:*", SECRET)),), resource=compiled(*others, kind=PolicyKind.RESOURCE)
    )


def microseconds(work: Callable[[], object]) -> float:
    """The best of `REPEATS` means of `ROUNDS` rounds: the least disturbed one."""
    best = float("inf")
    for _ in range(REPEATS):
        started = time.process_time()
        for _ in range(ROUNDS):
            work()
        best = min(best, time.process_time() - started)
    return best / ROUNDS * 1e6


def deciding(standing: Standing) -> Callable[[], object]:
    """A whole decision with the question built anew, as a request does it."""

    def work() -> object:
        context = Context(REQUEST, CALLER, TARGET)
        return decide(Asked(ROLE, "secretsmanager:GetSecretValue", SECRET, ACCOUNT, context), standing)

    decision = work()
    assert getattr(decision, "allowed", False), decision
    return work


def main() -> None:
    for name, standing in {
        "simple": simple(),
        "typical (two policies, tags, resource policy)": typical(),
        "ten policies with conditions": ten_policies(),
        "two documents of 6 KB": large_documents(),
    }.items():
        size = sum(len(policy.document) for policy in (*standing.identity, standing.resource) if policy is not None)
        print(f"{microseconds(deciding(standing)):8.2f} us  {name}, {size} bytes of policy")
    document = large_documents().identity[0].document
    started = time.process_time()
    for _ in range(100):
        compile_policy(document, PolicyKind.IDENTITY)
    print(f"{(time.process_time() - started) * 1e4:8.1f} us  compiling {len(document)} bytes")


if __name__ == "__main__":
    main()
