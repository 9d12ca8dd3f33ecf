"""Conformance packs: templates of several rules. Pure.

Served are resources of the type AWS::Config::ConfigRule, parameters, and conditions as AWS's sample packs have them (Ref, Fn::If,
Fn::Equals, Fn::Not, Fn::And, Fn::Or). Source: "Custom Conformance Pack", Developer Guide; "Template reference", CloudFormation User Guide.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from geumgo.domain.plain_yaml import InvalidYaml, read
from geumgo.services.config.domain import FREQUENCIES_MS

MOST_RULES: Final = 130
"""Rules of a pack. Source: "Service Limits", Developer Guide."""

DEEPEST: Final = 24
RULE: Final = "AWS::Config::ConfigRule"
_PARTS: Final = ("Parameters", "Conditions", "Resources", "AWSTemplateFormatVersion", "Description", "Metadata")
_FREQUENCY: Final = frozenset(FREQUENCIES_MS)
_DETAIL: Final = {
    "EventSource": frozenset(("aws.config",)),
    "MessageType": frozenset(
        (
            "ConfigurationItemChangeNotification",
            "OversizedConfigurationItemChangeNotification",
            "ScheduledNotification",
            "ConfigurationSnapshotDeliveryCompleted",
        )
    ),
    "MaximumExecutionFrequency": _FREQUENCY,
}
_FORM: Final[Mapping[str, Any]] = {
    "ConfigRuleName": 128,
    "Description": 256,
    "InputParameters": 1024,
    "MaximumExecutionFrequency": _FREQUENCY,
    "Scope": {
        "ComplianceResourceTypes": [256],
        "TagKey": 128,
        "TagValue": 256,
        "ComplianceResourceId": 768,
    },
    "Source": {
        "Owner": frozenset(("AWS", "CUSTOM_LAMBDA")),
        "SourceIdentifier": 256,
        "SourceDetails": [_DETAIL],
    },
    "EvaluationModes": [{"Mode": frozenset(("DETECTIVE", "PROACTIVE"))}],
}
"""What a rule may hold: members, entries, a text of at most so many characters, or one of some texts. Source: ConfigRule, API reference."""
_NOTHING: Final = object()  # AWS::NoValue


class InvalidTemplate(Exception):
    """The text is no template that can be served. Its text is a sentence for the caller."""


@dataclass(frozen=True, slots=True)
class _Values:
    """What a template may refer to. Names of conditions and parameters are found in their case."""

    parameters: Mapping[str, str]
    conditions: Mapping[str, Any]

    def of(self, value: Any, depth: int = 0) -> Any:
        """`value` with every function in it worked out."""
        if depth > DEEPEST:
            raise InvalidTemplate("The template is too deep.")
        if isinstance(value, list):
            done = [self.of(each, depth + 1) for each in value]
            return [each for each in done if each is not _NOTHING]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (name, given), *_ = value.items()
            if name == "Ref":
                return self._ref(given)
            if name == "Fn::If":
                if not isinstance(given, list) or len(given) != 3:
                    raise InvalidTemplate("Fn::If takes a condition and two values.")
                return self.of(given[1] if self.holds(given[0], depth + 1) else given[2], depth + 1)
            if name.startswith("Fn::"):
                raise InvalidTemplate(f"The function {name} is not served here.")
        done_pairs = {name: self.of(each, depth + 1) for name, each in value.items()}
        return {name: each for name, each in done_pairs.items() if each is not _NOTHING}

    def _ref(self, name: Any) -> Any:
        if name == "AWS::NoValue":
            return _NOTHING
        if name not in self.parameters:
            raise InvalidTemplate(f"The template refers to {name}, which is not one of its parameters.")
        return self.parameters[name]

    def holds(self, condition: Any, depth: int) -> bool:
        """Whether a condition (its name, or a function) holds."""
        if depth > DEEPEST:
            raise InvalidTemplate("The conditions of the template are too deep, or name each other in a circle.")
        if isinstance(condition, str):
            if condition not in self.conditions:
                raise InvalidTemplate(f"The template has no condition {condition}.")
            return self.holds(self.conditions[condition], depth + 1)
        if isinstance(condition, dict) and len(condition) == 1:
            (name, given), *_ = condition.items()
            parts = given if isinstance(given, list) else [given]
            if name == "Condition":
                return self.holds(given, depth + 1)
            if name == "Fn::Equals" and len(parts) == 2:
                one, other = (self.of(each, depth + 1) for each in parts)
                return bool(one == other)
            if name == "Fn::Not" and len(parts) == 1:
                return not self.holds(parts[0], depth + 1)
            if name in ("Fn::And", "Fn::Or") and 2 <= len(parts) <= 10:
                whole = [self.holds(each, depth + 1) for each in parts]
                return all(whole) if name == "Fn::And" else any(whole)
        raise InvalidTemplate("A condition of the template is not one that is served here.")


def rules_of(text: str, given: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The rules of a template by name, each as a ConfigRule, with `given` as values of its parameters. Raises InvalidTemplate."""
    try:
        template = read(text)
    except InvalidYaml as refusal:
        raise InvalidTemplate(f"The template cannot be read. {refusal}") from None
    if not isinstance(template, dict) or not isinstance(template.get("Resources"), dict) or not template["Resources"]:
        raise InvalidTemplate("The template has no Resources.")
    unknown = sorted(set(template) - set(_PARTS))
    if unknown:
        raise InvalidTemplate(f"The template has a section {unknown[0]}, which is not served here.")
    if len(template["Resources"]) > MOST_RULES:
        raise InvalidTemplate(f"A conformance pack has at most {MOST_RULES} rules.")
    values = _Values(_parameters(template.get("Parameters") or {}, given), template.get("Conditions") or {})
    found: dict[str, dict[str, Any]] = {}
    for logical, resource in template["Resources"].items():
        rule = _rule(logical, resource, values)
        if rule is None:
            continue
        if rule["ConfigRuleName"] in found:
            raise InvalidTemplate(f"The template has two rules called {rule['ConfigRuleName']}.")
        found[rule["ConfigRuleName"]] = rule
    return found


def _parameters(declared: Any, given: Mapping[str, str]) -> dict[str, str]:
    if not isinstance(declared, dict) or not all(isinstance(each, dict) for each in declared.values()):
        raise InvalidTemplate("The Parameters of the template must each be a mapping.")
    unknown = sorted(set(given) - set(declared))
    if unknown:
        raise InvalidTemplate(f"The template has no parameter {unknown[0]}.")
    values = {}
    for name, declaration in declared.items():
        value = given.get(name, declaration.get("Default"))
        if value is None:
            raise InvalidTemplate(f"The parameter {name} has no default and was given no value.")
        values[name] = str(value)
    return values


def _rule(logical: str, resource: Any, values: _Values) -> dict[str, Any] | None:
    """A resource as a ConfigRule; None if its condition does not hold."""
    if (
        not isinstance(resource, dict)
        or resource.get("Type") != RULE
        or not isinstance(resource.get("Properties"), dict)
    ):
        raise InvalidTemplate(
            f"The resource {logical} is not of the type {RULE} with Properties, which is what is served here."
        )
    if "Condition" in resource and not values.holds(resource["Condition"], 0):
        return None
    properties = values.of(resource["Properties"])
    unknown = sorted(set(properties) - set(_FORM))
    if unknown:
        raise InvalidTemplate(f"The rule {logical} has a property {unknown[0]}, which is not served here.")
    rule: dict[str, Any] = {"ConfigRuleName": logical, **properties}
    parameters = rule.pop("InputParameters", None)
    if parameters and not isinstance(parameters, dict):
        raise InvalidTemplate(f"The InputParameters of the rule {logical} must be a mapping.")
    if parameters:
        texts = {name: _text(value) for name, value in parameters.items()}
        rule["InputParameters"] = json.dumps(texts, separators=(",", ":"))
    if not _fits(rule, _FORM) or "Owner" not in rule.get("Source", {}):
        raise InvalidTemplate(f"The properties of the rule {logical} do not have the form of a rule.")
    return rule


def _fits(value: Any, form: Any) -> bool:
    """Whether a value has the form: see _FORM."""
    if isinstance(form, Mapping):
        return isinstance(value, dict) and all(name in form and _fits(each, form[name]) for name, each in value.items())
    if isinstance(form, list):
        return isinstance(value, list) and len(value) <= 100 and all(_fits(each, form[0]) for each in value)
    if isinstance(form, frozenset):
        return isinstance(value, str) and value in form
    return isinstance(value, str) and 0 < len(value) <= form and "\0" not in value


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
