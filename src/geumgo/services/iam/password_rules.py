"""The account's rules for passwords. Pure.

Source: "Set an account password policy", IAM User Guide; UpdateAccountPasswordPolicy, API reference.
"""

import string
from collections.abc import Mapping
from typing import Any, Final

REMEMBERED_LIMIT: Final = 24
SYMBOLS: Final = frozenset("!@#$%^&*()_+-=[]{}|'")

# What UpdateAccountPasswordPolicy means by a member that is not given. Source: recorded on AWS.
DEFAULTS: Final[Mapping[str, int | bool]] = {
    "MinimumPasswordLength": 6,
    "RequireSymbols": False,
    "RequireNumbers": False,
    "RequireUppercaseCharacters": False,
    "RequireLowercaseCharacters": False,
    "AllowUsersToChangePassword": False,
}
# What holds without a policy: eight characters, three kinds of four. Source: IAM User Guide.
WITHOUT_POLICY: Final[Mapping[str, int | bool]] = {"MinimumPasswordLength": 8, "KindsRequired": 3}
_OPTIONAL: Final = ("MaxPasswordAge", "PasswordReusePrevention", "HardExpiry")

_KINDS: Final[Mapping[str, tuple[frozenset[str], str]]] = {
    "RequireUppercaseCharacters": (frozenset(string.ascii_uppercase), "uppercase letter"),
    "RequireLowercaseCharacters": (frozenset(string.ascii_lowercase), "lowercase letter"),
    "RequireNumbers": (frozenset(string.digits), "number"),
    "RequireSymbols": (SYMBOLS, "symbol"),
}


def updated(params: Mapping[str, Any]) -> dict[str, int | bool]:
    """The rules after an update with `params`."""
    return {name: params.get(name, default) for name, default in DEFAULTS.items()} | {
        name: params[name] for name in _OPTIONAL if name in params
    }


def shown(rules: Mapping[str, int | bool]) -> dict[str, int | bool]:
    """The rules as IAM answers them."""
    return dict(rules) | {"ExpirePasswords": int(rules.get("MaxPasswordAge", 0)) > 0}


def has_expired(rules: Mapping[str, int | bool], changed_at_ms: int, now_ms: int) -> bool:
    """Whether a password that was set at `changed_at_ms` is older than MaxPasswordAge (days); 0 or no rule: it never is."""
    age_days = int(rules.get("MaxPasswordAge", 0))
    return age_days > 0 and now_ms - changed_at_ms >= age_days * 86_400_000


def fault(rules: Mapping[str, int | bool], password: str) -> str | None:
    """What is wrong with `password`, in a sentence that does not repeat it, or None. Unverified: the sentences."""
    shortest = int(rules.get("MinimumPasswordLength", DEFAULTS["MinimumPasswordLength"]))
    if len(password) < shortest:
        return f"Password should have a minimum length of {shortest}"
    present = {rule for rule, (characters, _) in _KINDS.items() if characters & set(password)}
    for rule, (_, kind) in _KINDS.items():
        if rules.get(rule) and rule not in present:
            return f"Password should have at least one {kind}"
    if len(present) < int(rules.get("KindsRequired", 0)):
        return "Password should have at least three kinds of uppercase letters, lowercase letters, numbers and symbols"
    return None
