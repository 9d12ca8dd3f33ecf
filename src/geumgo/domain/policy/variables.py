"""Policy variables: `${aws:username}`, `${aws:PrincipalTag/team, 'none'}`, and the escapes `${*}`, `${?}`, `${$}`.

Source: "IAM policy elements: Variables and tags", IAM user guide. Documents of version 2008-10-17 have none: there the
text is literal.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from geumgo.domain.policy.model import Context
from geumgo.domain.wildcard import Mark, Token, tokens_of

_PLACE = re.compile(r"\$\{(?:([*?$])|\s*([^\s,'{}$*?][^,'{}]*)(?:,\s*'([^']*)'\s*)?)\}")


@dataclass(frozen=True, slots=True)
class Variable:
    """A place for the value of a condition key (its name in lower case), or else for `default`."""

    key: str
    default: str | None


Part = Token | Variable
Template = tuple[Part, ...]


class UnreadableVariable(ValueError):
    """A `${` opens something that is neither a variable nor an escape."""


def template_of(text: str, *, wildcards: bool, variables: bool) -> Template:
    """`text` taken apart. Without `wildcards`, `*` and `?` are text; without `variables`, so is `${...}`.

    Raises:
        UnreadableVariable: `variables`, and a `${` that cannot be read.
    """
    if not variables or "${" not in text:
        return _literal(text, wildcards=wildcards)
    parts: list[Part] = []
    start = 0
    for place in _PLACE.finditer(text):
        parts.extend(_literal(_without_opening(text[start : place.start()]), wildcards=wildcards))
        escaped, key, default = place.groups()
        parts.append(escaped if escaped is not None else Variable(key.rstrip().lower(), default))
        start = place.end()
    parts.extend(_literal(_without_opening(text[start:]), wildcards=wildcards))
    return tuple(_joined(parts))


def is_fixed(template: Template) -> bool:
    """Whether the template has no variable, so that it is the same for every request."""
    return not any(isinstance(part, Variable) for part in template)


def filled(template: Template, context: Context) -> Sequence[Token] | None:
    """The template with the values of this request. They are text: a `*` in a value is no wildcard.

    None if a variable has no value: its key is absent and it names no default, or the key has several values.
    """
    tokens: list[Token] = []
    for part in template:
        if not isinstance(part, Variable):
            tokens.append(part)
            continue
        values = context.get(part.key)
        if values is None:
            if part.default is None:
                return None
            tokens.append(part.default)
        elif len(values) == 1:
            tokens.append(values[0])
        else:
            return None
    return tokens


def fixed_tokens(template: Template) -> tuple[Token, ...]:
    """The template of which `is_fixed` holds, as tokens."""
    return tuple(part for part in template if not isinstance(part, Variable))


def _literal(text: str, *, wildcards: bool) -> tuple[Token, ...]:
    if wildcards:
        return tokens_of(text)
    return (text,) if text else ()


def _without_opening(text: str) -> str:
    if "${" in text:
        raise UnreadableVariable(text)
    return text


def _joined(parts: Iterable[Part]) -> Iterable[Part]:
    """The parts with neighbouring texts made one and neighbouring stars too."""
    last: Part | None = None
    for part in parts:
        if isinstance(last, str) and isinstance(part, str):
            last += part
        elif not (last is Mark.ANY_RUN and part is Mark.ANY_RUN):
            if last is not None:
                yield last
            last = part
    if last is not None:
        yield last
