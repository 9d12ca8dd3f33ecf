"""From a policy document to a `Policy`, or to the sentence with which IAM refuses it."""

from geumgo.domain.policy.match import Policy
from geumgo.domain.policy.model import PolicyKind


def compile_policy(document: str, kind: PolicyKind, *, name: str = "") -> Policy:
    """The policy that `document` (JSON text) describes.

    Raises:
        MalformedPolicy: it is not a policy of this kind; the message is IAM's.
    """
    raise NotImplementedError(document, kind, name)
