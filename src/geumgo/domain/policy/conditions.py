"""The Condition element: operators, `IfExists`, `ForAllValues`, `ForAnyValue`, `Null`, and what a missing key means.

Source: "IAM JSON policy elements: Condition operators" and "Set operators for multivalued context keys", IAM user
guide.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from geumgo.domain.policy import values
from geumgo.domain.policy.model import Context
from geumgo.domain.policy.values import Family, Fits


class UnknownOperator(ValueError):
    """No condition operator has this name."""


class Quantifier(Enum):
    """How many of the request's values must pass. Without a set operator AWS leaves several values undefined; see `Comparison`."""

    NONE = ""
    ALL = "ForAllValues:"
    ANY = "ForAnyValue:"


class Condition(Protocol):
    """One key under one operator."""

    def holds(self, context: Context, *, allows: bool) -> bool:
        """Whether the condition is met. `allows`: it stands in a statement that allows."""
        ...


@dataclass(frozen=True, slots=True)
class Comparison:
    """The values of `key` (lower case) compared with those of the policy. `negated` turns each single comparison round.

    A missing key: with `IfExists` and with ForAllValues the condition is met, with ForAnyValue it is not; otherwise a
    negated operator is met and a positive one is not.

    Unverified: AWS demands a set operator for several values and does not say what happens without one. Here the doubt
    never widens access: in an Allow every value must pass, in a Deny one is enough.
    """

    key: str
    fits: Fits
    negated: bool
    quantifier: Quantifier
    when_absent: bool

    def holds(self, context: Context, *, allows: bool) -> bool:
        found = context.get(self.key)
        if found is None:
            return self.when_absent
        fits, negated = self.fits, self.negated
        if len(found) == 1:
            return fits(found[0], context) is not negated
        passing = (fits(value, context) is not negated for value in found)
        if self.quantifier is Quantifier.ALL or (self.quantifier is Quantifier.NONE and allows):
            return all(passing)
        return any(passing)


@dataclass(frozen=True, slots=True)
class Presence:
    """Null: the key is absent where `absent` holds True, present where it holds False."""

    key: str
    absent: frozenset[bool]

    def holds(self, context: Context, *, allows: bool) -> bool:  # noqa: ARG002  (the same for both effects)
        return (context.get(self.key) is None) in self.absent


def compile_condition(name: str, key: str, texts: Sequence[str], *, variables: bool) -> Condition:
    """The condition that operator `name` ("ForAllValues:StringLikeIfExists") puts on `key`.

    Raises:
        UnknownOperator: `name` is no operator.
        UnreadableValue: a value is not what the operator compares.
        UnreadableVariable: a `${` in a value cannot be read.
    """
    quantifier, bare, if_exists = operator_named(name)
    lowered = key.lower()
    if bare == "Null":
        wanted = [text.lower() for text in texts]
        if any(text not in ("true", "false") for text in wanted):
            raise values.UnreadableValue
        return Presence(lowered, frozenset(text == "true" for text in wanted))
    family, negated = _OPERATORS[bare]
    when_absent = if_exists or quantifier is Quantifier.ALL or (negated and quantifier is Quantifier.NONE)
    return Comparison(lowered, family(texts, variables=variables), negated, quantifier, when_absent)


def operator_named(name: str) -> tuple[Quantifier, str, bool]:
    """The set operator, the bare operator and whether `IfExists` follows.

    Raises:
        UnknownOperator: there is no such operator. `Null` takes neither a set operator nor `IfExists`.
    """
    quantifier = next((q for q in (Quantifier.ALL, Quantifier.ANY) if name.startswith(q.value)), Quantifier.NONE)
    rest = name.removeprefix(quantifier.value)
    bare = rest.removesuffix("IfExists")
    if bare == "Null" and name == "Null":
        return quantifier, bare, False
    if bare not in _OPERATORS:
        raise UnknownOperator(name)
    return quantifier, bare, bare != rest


def _ordered(prefix: str, family: Callable[[values.Compare], Family]) -> dict[str, tuple[Family, bool]]:
    return {
        f"{prefix}Equals": (family(values.EQUAL), False),
        f"{prefix}NotEquals": (family(values.EQUAL), True),
        f"{prefix}LessThan": (family(values.LESS), False),
        f"{prefix}LessThanEquals": (family(values.AT_MOST), False),
        f"{prefix}GreaterThan": (family(values.MORE), False),
        f"{prefix}GreaterThanEquals": (family(values.AT_LEAST), False),
    }


_OPERATORS: dict[str, tuple[Family, bool]] = {
    "StringEquals": (values.text_fits, False),
    "StringNotEquals": (values.text_fits, True),
    "StringEqualsIgnoreCase": (values.folded_text_fits, False),
    "StringNotEqualsIgnoreCase": (values.folded_text_fits, True),
    "StringLike": (values.pattern_fits, False),
    "StringNotLike": (values.pattern_fits, True),
    **_ordered("Numeric", values.number_fits),
    **_ordered("Date", values.moment_fits),
    "Bool": (values.truth_fits, False),
    "BinaryEquals": (values.bytes_fit, False),
    "IpAddress": (values.address_fits, False),
    "NotIpAddress": (values.address_fits, True),
    "ArnEquals": (values.arn_fits, False),
    "ArnLike": (values.arn_fits, False),
    "ArnNotEquals": (values.arn_fits, True),
    "ArnNotLike": (values.arn_fits, True),
}
