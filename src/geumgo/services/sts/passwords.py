"""Sessions of users who signed in with a password, as to the console."""

from typing import Final

from geumgo.context import Context, Params
from geumgo.principals import Login
from geumgo.services.sts import domain
from geumgo.services.sts.tokens import Claims, issue

_CHANGE_ONLY: Final = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:ChangePassword","iam:GetAccountPasswordPolicy"],'
    '"Resource":"*"}]}'
)


class PasswordSessions:
    """Satisfies `context.Sessions`."""

    def of_password(self, ctx: Context, login: Login, *, seconds: int, mfa: bool) -> Params:
        """See `Sessions.of_password`. They die with the user, with this password, and with every session of his that is revoked."""
        now_ms = ctx.clock.now_ms()
        claims = Claims(
            kind="IAMUser",
            account=login.user.account,
            issuer_id=login.user.id,
            name=login.user.name,
            issued_at_ms=now_ms,
            expires_at_ms=now_ms + 1000 * seconds,
            mfa=mfa,
            through_password=login.mark,
        )
        packed = domain.pack(_CHANGE_ONLY, (), {}) if login.change_required else b""
        credentials: Params = issue(ctx, claims, packed, {})["Credentials"]
        return credentials
