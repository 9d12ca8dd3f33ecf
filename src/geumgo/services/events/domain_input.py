"""What a target is sent of an event. Pure. Source: InputPath, InputTransformer; Target, API reference."""

import json
from collections.abc import Mapping
from typing import Any

from geumgo.domain.input_template import Occasion, at_path, read_path
from geumgo.services.events.domain_targets import transformer


def input_of(target: Mapping[str, Any], event: Mapping[str, Any], occasion: Occasion) -> str:
    """The text that the target is sent: its Input, a part of the event, what its transformer makes of it, or the whole event.

    Unverified: that an InputPath which leads nowhere gives `null`.
    """
    if "Input" in target:
        return str(target["Input"])
    if target.get("InputPath"):
        return dumped(at_path(event, read_path(target["InputPath"])))
    if "InputTransformer" in target:
        return transformer(target["InputTransformer"]).render(event, occasion)
    return dumped(event)


def as_json(text: str) -> str:
    """`text` if it is JSON, on one line; else the JSON string that it is."""
    try:
        return dumped(json.loads(text))
    except (ValueError, RecursionError):
        return dumped(text)


def as_line(text: str) -> str:
    """A line of a log file: the input itself where it is a JSON object, else an object with the input as its message."""
    line = as_json(text)
    return line if line.startswith("{") else dumped({"message": json.loads(line)})


def dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
