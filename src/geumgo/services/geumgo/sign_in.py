"""Signing in with a password: CreateConsoleSession."""

from geumgo.context import Context, Params
from geumgo.principals import Login
from geumgo.room import operation
from geumgo.services.geumgo import attempts, domain
from geumgo.services.geumgo.attempts import Shown
from geumgo.services.geumgo.errors import SignInFailed


@operation
def create_console_session(ctx: Context, params: Params) -> Params:
    """Credentials of the user whose password was shown, if he shows the code of one of his MFA devices too, where he has any.

    What may have changed since the password was looked at is looked at again: the session is of a password that holds now.

    Raises SignInFailed.
    """
    shown = ctx.prepared
    assert isinstance(shown, Shown), "the password was not checked"
    now_ms = ctx.clock.now_ms()
    _, login = ctx.principals.login(ctx.tx, params["Account"], params["UserName"], now_ms)
    if login is None or (login.user.id, login.mark) != (shown.login.user.id, shown.login.mark):
        raise SignInFailed
    mfa = _second_factor(ctx, login, params)
    attempts.succeeded(ctx.tx, shown.keys, now_ms)
    seconds = int(params.get("DurationSeconds", domain.SESSION_S))
    return {
        "Credentials": ctx.sessions.of_password(ctx, login, seconds=seconds, mfa=mfa),
        "Account": login.user.account,
        "Arn": login.user.arn,
        "PasswordChangeRequired": login.change_required,
    }


def _second_factor(ctx: Context, login: Login, params: Params) -> bool:
    """Whether a device of the user's has shown the code, which is good once. A user without a device has none to show.

    Raises SignInFailed for a missing or wrong code: whether only the code is wrong is not told.
    """
    if not login.serials:
        return False
    code, now_ms = params.get("MFACode", ""), ctx.clock.now_ms()
    if not code or not any(
        ctx.principals.take_code(ctx.tx, login.user.id, each, code, now_ms) for each in login.serials
    ):
        raise SignInFailed
    return True
