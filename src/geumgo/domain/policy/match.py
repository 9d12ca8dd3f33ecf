"""What a compiled policy is, and whether one of its statements speaks about a request."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from geumgo.domain.policy.conditions import Condition
from geumgo.domain.policy.model import Asked, Context, PolicyKind, PolicyPrincipal
from geumgo.domain.policy.principals import Naming, Principals
from geumgo.domain.policy.variables import Template, filled, fixed_tokens, is_fixed, template_of
from geumgo.domain.wildcard import Matcher, Token, glob, matcher

_MOST_REMEMBERED_ACTIONS = 512  # per policy; our models have fewer, and a simulation may bring names of its own


@dataclass(frozen=True, slots=True)
class Actions:
    """An Action or NotAction element (`negated`). `named` are in lower case, as is what they are compared with."""

    named: frozenset[str]
    patterns: tuple[Matcher, ...]
    negated: bool

    def include(self, lowered: str) -> bool:
        listed = lowered in self.named or any(fits(lowered) for fits in self.patterns)
        return listed is not self.negated


@dataclass(frozen=True, slots=True)
class Resources:
    """A Resource or NotResource element (`negated`)."""

    everything: bool
    named: frozenset[str]
    patterns: tuple[Matcher, ...]
    templates: tuple[Template, ...]
    negated: bool

    def include(self, resource: str, context: Context) -> bool:
        if self.everything or resource in self.named:
            return not self.negated
        for fits in self.patterns:
            if fits(resource):
                return not self.negated
        for template in self.templates:
            tokens = filled(template, context)
            if tokens is not None and matcher(tokens)(resource):
                return not self.negated
        return self.negated


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. `sid` is empty if it has none; `number` counts from 1 in the order of the document.

    `action_names` and `resource_names` are the texts of the document. `principals` is None in a policy that is attached
    to a principal, `resources` None in one that may not name any.
    """

    sid: str
    number: int
    allows: bool
    action_names: tuple[str, ...]
    resource_names: tuple[str, ...]
    actions: Actions
    resources: Resources | None
    principals: Principals | None
    conditions: tuple[Condition, ...]

    @property
    def label(self) -> str:
        """How a decision names it: by its Sid, or by its number."""
        return self.sid or f"#{self.number}"

    def covers(self, asked: Asked) -> bool:
        """Whether resource and conditions fit. The policy's index has looked at the action; `naming` looks at the principal."""
        resources = self.resources
        if resources is not None and not resources.include(asked.resource, asked.context):
            return False
        for condition in self.conditions:  # noqa: SIM110  (the hot path: a generator costs as much as a match)
            if not condition.holds(asked.context, allows=self.allows):
                return False
        return True

    def naming(self, who: PolicyPrincipal, *, bounded: bool = False) -> Naming:
        """How directly the statement speaks of `who`; a statement without Principal speaks of whomever its policy is attached to.

        `bounded`: a permissions boundary is set for `who`.
        """
        return Naming.DIRECT if self.principals is None else self.principals.naming(who, bounded=bounded)


Speaking = tuple[tuple[Statement, ...], tuple[Statement, ...]]


@dataclass(frozen=True, slots=True)
class Policy:
    """A compiled policy document: immutable, and cheap to ask. `name` is for people: a policy's name or ARN."""

    document: str
    kind: PolicyKind
    name: str
    statements: tuple[Statement, ...] = field(repr=False, compare=False)
    _by_action: dict[str, list[Statement]] = field(init=False, repr=False, compare=False, default_factory=dict)
    _by_pattern: list[Statement] = field(init=False, repr=False, compare=False, default_factory=list)
    _known: dict[str, Speaking] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        for statement in self.statements:
            if statement.actions.negated or statement.actions.patterns:
                self._by_pattern.append(statement)
            else:
                for action in statement.actions.named:
                    self._by_action.setdefault(action, []).append(statement)

    def speaking_of(self, action: str) -> Speaking:
        """The statements that deny and those that allow `action`, each in the order of the document, conditions aside."""
        return self._known.get(action) or self._look_up(action)

    def _look_up(self, action: str) -> Speaking:
        lowered = action.lower()
        found = [statement for statement in self._by_pattern if statement.actions.include(lowered)]
        found += self._by_action.get(lowered, ())
        found.sort(key=lambda statement: statement.number)
        speaking = (tuple(s for s in found if not s.allows), tuple(s for s in found if s.allows))
        if len(self._known) < _MOST_REMEMBERED_ACTIONS:
            self._known[action] = speaking
        return speaking


def compile_actions(names: Sequence[str], *, negated: bool) -> Actions:
    """The actions that `names` list. Case never matters."""
    literal, patterns = _parted([name.lower() for name in names])
    return Actions(frozenset(literal), tuple(map(glob, patterns)), negated)


def compile_resources(names: Sequence[str], *, negated: bool, variables: bool) -> Resources:
    """The resources that `names` list.

    A variable stands only after the fifth colon: before it, `${...}` is text and matches nothing. Source: policy
    variables, IAM user guide.

    Raises:
        UnreadableVariable: a `${` that cannot be read.
    """
    templates = [_resource_template(name, variables=variables) for name in names if name != "*"]
    fixed = [fixed_tokens(template) for template in templates if is_fixed(template)]
    return Resources(
        everything="*" in names,
        named=frozenset("".join(map(str, tokens)) for tokens in fixed if _is_literal(tokens)),
        patterns=tuple(matcher(tokens) for tokens in fixed if not _is_literal(tokens)),
        templates=tuple(template for template in templates if not is_fixed(template)),
        negated=negated,
    )


def _is_literal(tokens: Sequence[Token]) -> bool:
    return all(isinstance(token, str) for token in tokens)


def _resource_template(name: str, *, variables: bool) -> Template:
    parts = name.split(":", 5)
    if len(parts) < 6:
        return template_of(name, wildcards=True, variables=False)
    before = template_of(":".join(parts[:5]) + ":", wildcards=True, variables=False)
    return before + template_of(parts[5], wildcards=True, variables=variables)


def _parted(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The names without wildcards, and those with."""
    literal = [name for name in names if "*" not in name and "?" not in name]
    return literal, [name for name in names if "*" in name or "?" in name]
