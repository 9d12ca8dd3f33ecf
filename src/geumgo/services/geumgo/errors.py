"""The room's refusals."""

from geumgo.errors import ServiceError


class SignInFailed(ServiceError):
    """Account, name, password or code is wrong. Which of them is never told."""

    code = "SignInFailedException"

    def __init__(self) -> None:
        super().__init__("Your authentication information is incorrect. Please try again.")
