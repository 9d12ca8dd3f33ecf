"""What the gate needs to know and does not keep itself. iam and sts satisfy these; app joins them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from geumgo.domain.policy import Policy
from geumgo.sealing.plaintext import Plaintext
from geumgo.storage import Tx


@dataclass(frozen=True, slots=True)
class PrincipalPolicies:
    """Every policy that speaks about what a principal may do. `boundary` None: none is set; `session` None: none was passed."""

    identity: Sequence[Policy]
    boundary: Policy | None = None
    session: Sequence[Policy] | None = None
    service_control: Sequence[Sequence[Policy]] = ()
