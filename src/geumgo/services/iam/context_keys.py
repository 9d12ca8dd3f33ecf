"""Which context keys a policy looks at. Pure."""

import json
import re
from collections.abc import Iterable
from typing import Any, Final

_VARIABLE: Final = re.compile(r"\$\{\s*([A-Za-z0-9-]+:[^\s,}]+|[A-Za-z0-9-]+:[^,}]*?)\s*(?:,[^}]*)?\}")


def context_keys(documents: Iterable[str]) -> list[str]:
    """The keys in conditions and policy variables of `documents` (valid policies), each once, in the order of their names.

    Source: GetContextKeysForCustomPolicy, API reference.
    """
    found: dict[str, str] = {}
    for document in documents:
        tree = json.loads(document)
        statements = tree["Statement"] if isinstance(tree["Statement"], list) else [tree["Statement"]]
        for statement in statements:
            for keys in statement.get("Condition", {}).values():
                for key in keys:
                    found.setdefault(key.lower(), key)
            for text in _texts(statement):
                for key in _VARIABLE.findall(text):
                    found.setdefault(key.lower(), key)
    return sorted(found.values())


def _texts(tree: Any) -> Iterable[str]:
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, list):
        for item in tree:
            yield from _texts(item)
    elif isinstance(tree, dict):
        for item in tree.values():
            yield from _texts(item)
