"""The rules of the evaluator that a test may break on purpose, to prove that breaking one is noticed."""

from dataclasses import dataclass, fields, replace


@dataclass(frozen=True)
class Rules:
    """Every field is True in the language as AWS documents it. A mutant is these rules with one of them turned off."""

    actions_ignore_case: bool = True
    resources_heed_case: bool = True
    condition_keys_ignore_case: bool = True
    not_action_is_inverted: bool = True
    not_resource_is_inverted: bool = True
    deny_comes_first: bool = True
    boundary_limits: bool = True
    session_policy_limits: bool = True
    federated_user_needs_a_session_policy: bool = True
    service_control_limits: bool = True
    every_level_must_allow: bool = True
    both_accounts_must_consent: bool = True
    required_policy_must_consent: bool = True
    account_only_delegates: bool = True
    naming_the_session_is_final: bool = True
    naming_the_role_is_limited: bool = True
    root_needs_no_policy: bool = True
    not_principal_names_every_level: bool = True
    for_all_values_holds_for_a_missing_key: bool = True
    for_any_value_fails_for_a_missing_key: bool = True
    if_exists_holds_for_a_missing_key: bool = True
    negation_holds_for_a_missing_key: bool = True
    negation_means_none_of: bool = True
    null_true_means_absent: bool = True
    wildcard_in_a_value_is_a_letter: bool = True
    variables_need_the_2012_version: bool = True
    variable_without_value_matches_nothing: bool = True
    defaults_stand_in: bool = True
    equals_knows_no_wildcards: bool = True
    arn_wildcards_stay_between_colons: bool = True
    all_operators_must_hold: bool = True


AS_DOCUMENTED = Rules()
MUTANTS = {field.name: replace(AS_DOCUMENTED, **{field.name: False}) for field in fields(Rules)}
