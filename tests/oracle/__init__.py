"""A second opinion on who may do what: AWS's policy language, written once more from its documentation alone.

`evaluator` decides a world slowly and plainly, `worlds` makes worlds in which near misses are frequent, and
`tests/promises/test_policy_oracle.py` holds the product against both. Nothing here shares code with `geumgo.domain.policy`.
"""
