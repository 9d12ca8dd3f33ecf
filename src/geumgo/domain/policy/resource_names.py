"""What IAM refuses in the Resource element, in its words.

Source: recorded on AWS (CreatePolicy).
"""

import re

ResourceFault = str

_PARTITION = re.compile(r"aws(-[a-z-]+)?|\*|aws\*|aws-\*", re.ASCII)
_IAM_PATHS = (
    "user/",
    "federated-user/",
    "role/",
    "group/",
    "instance-profile/",
    "mfa/",
    "server-certificate/",
    "policy/",
    "sms-mfa/",
    "saml-provider/",
    "oidc-provider/",
    "report/",
    "access-report/",
)


def resource_fault(name: str) -> ResourceFault | None:
    """The sentence that refuses the resource `name`, or None. What only IAM's older parser refuses is no fault here."""
    if name == "*":
        return None
    _, colon, rest = name.partition(":")
    if not colon:
        return f'Resource {name} must be in ARN format or "*".'
    partition, colon, rest = rest.partition(":")
    if not _PARTITION.fullmatch(partition):
        parts = rest.split(":", 3) if rest else []
        shown = ":".join([*parts, "*", "*", "*", "*"][:4])
        return f'Partition "{partition}" is not valid for resource "arn:{partition}:{shown}".'
    if not colon:
        return "Resource vendor must be fully qualified and cannot contain regexes."
    service, _, rest = rest.partition(":")
    region, _, rest = rest.partition(":")
    if service == "iam" and region:
        return f"IAM resource {name} cannot contain region information."
    if service == "s3" and region not in ("", "*"):
        return f"Resource {name} can not contain region information."
    return _iam_path_fault(rest.partition(":")[2]) if service == "iam" else None


def legacy_parsing_fails(name: str) -> bool:
    """Whether IAM's older parser refuses the resource: a service that is empty, or `::` without all the parts of an ARN."""
    if name == "*":
        return False
    parts = name.split(":")
    return (len(parts) < 6 and "::" in name) or len(parts) < 3 or parts[2] == ""


def _iam_path_fault(resource: str) -> ResourceFault | None:
    """Refuses what no IAM resource begins with. A wildcard or variable may stand for any beginning.

    Unverified: that a wildcard in the middle of the first word is accepted.
    """
    fixed = re.split(r"[*?$]", resource, maxsplit=1)[0]
    if fixed == resource:
        fits = resource.startswith(_IAM_PATHS)
    else:
        fits = any(path.startswith(fixed) or fixed.startswith(path) for path in _IAM_PATHS)
    return None if fits else f'IAM resource path must either be "*" or start with {", ".join(_IAM_PATHS)}.'
