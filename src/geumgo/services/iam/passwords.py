"""Passwords for the console: login profiles, ChangePassword, and the account's rules for passwords."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from geumgo.context import Context, Params, as_datetime
from geumgo.room import operation, reads
from geumgo.sealing import Plaintext
from geumgo.sealing.passwords import WrongPassword, hash_password, verify_password
from geumgo.services.iam import password_rules
from geumgo.services.iam.errors import (
    EntityAlreadyExists,
    InvalidInput,
    InvalidUserType,
    NoSuchEntity,
    PasswordPolicyViolation,
)
from geumgo.services.iam.lookup import need
from geumgo.services.iam.records import Account, Login, Principal
from geumgo.services.iam.store import account as accounts
from geumgo.services.iam.store import logins

Rules = Mapping[str, int | bool]
_NO_RULES: Final = "The Password Policy with domain name {} cannot be found."


@operation
def create_login_profile(ctx: Context, params: Params) -> Params:
    """Source of the sentences: recorded on AWS."""
    user = need(ctx, "user", params)
    if logins.find(ctx.tx, ctx.sealing, user.id) is not None:
        raise EntityAlreadyExists(f"Login Profile for user {user.name} already exists.")
    if "Password" not in params:
        raise InvalidInput("Password is required.")
    now_ms = ctx.clock.now_ms()
    password = _accepted(_rules(ctx), params["Password"])
    reset = params.get("PasswordResetRequired", False)
    login = Login(user.id, hash_password(password), (), reset, now_ms, now_ms)
    logins.save(ctx.tx, ctx.sealing, login)
    return {"LoginProfile": _show(user, login)}


@reads
def get_login_profile(ctx: Context, params: Params) -> Params:
    user = need(ctx, "user", params)
    return {"LoginProfile": _show(user, _need_login(ctx, user))}


@operation
def update_login_profile(ctx: Context, params: Params) -> Params:
    user = need(ctx, "user", params)
    login = _need_login(ctx, user)
    if "Password" in params:
        login = _changed(ctx, login, params["Password"])
    logins.save(
        ctx.tx, ctx.sealing, replace(login, reset_required=params.get("PasswordResetRequired", login.reset_required))
    )
    return {}


@operation
def delete_login_profile(ctx: Context, params: Params) -> Params:
    user = need(ctx, "user", params)
    _need_login(ctx, user)
    logins.delete(ctx.tx, user.id)
    return {}


@operation
def change_password(ctx: Context, params: Params) -> Params:
    """The caller's own password. Source: ChangePassword, API reference. Unverified: the sentence about a wrong old one."""
    if ctx.caller.kind != "IAMUser":
        raise InvalidUserType("Only IAM Users can change their own password.")
    user = need(ctx, "user", {})
    login = _need_login(ctx, user)
    try:
        verify_password(Plaintext(params["OldPassword"].encode()), login.hashed)
    except WrongPassword:
        raise InvalidInput("The old password was incorrect.") from None
    changed = _changed(ctx, login, params["NewPassword"])
    logins.save(ctx.tx, ctx.sealing, replace(changed, reset_required=False))
    return {}


@reads
def get_account_password_policy(ctx: Context, params: Params) -> Params:  # noqa: ARG001
    account = need_account(ctx)
    if account.password_rules is None:
        raise NoSuchEntity(_NO_RULES.format(account.id))
    return {"PasswordPolicy": password_rules.shown(account.password_rules)}


@operation
def update_account_password_policy(ctx: Context, params: Params) -> Params:
    """What is not given goes back to its default. Source: UpdateAccountPasswordPolicy, API reference."""
    accounts.save(ctx.tx, ctx.sealing, replace(need_account(ctx), password_rules=password_rules.updated(params)))
    return {}


@operation
def delete_account_password_policy(ctx: Context, params: Params) -> Params:  # noqa: ARG001
    account = need_account(ctx)
    if account.password_rules is None:
        raise NoSuchEntity("The account policy with name PasswordPolicy cannot be found.")
    accounts.save(ctx.tx, ctx.sealing, replace(account, password_rules=None))
    return {}


def need_account(ctx: Context) -> Account:
    account = accounts.find(ctx.tx, ctx.sealing, ctx.place.account)
    if account is None:
        raise NoSuchEntity(f"The account with id {ctx.place.account} cannot be found.")
    return account


def _rules(ctx: Context) -> Rules:
    given = need_account(ctx).password_rules
    return given if given is not None else password_rules.WITHOUT_POLICY


def _accepted(rules: Rules, password: str) -> Plaintext:
    fault = password_rules.fault(rules, password)
    if fault is not None:
        raise PasswordPolicyViolation(fault)
    return Plaintext(password.encode())


def _changed(ctx: Context, login: Login, new: str) -> Login:
    """The login under a new password that its rules accept and that was not used lately."""
    rules = _rules(ctx)
    password = _accepted(rules, new)
    remembered = int(rules.get("PasswordReusePrevention", 0))
    before = (login.hashed, *login.earlier)[:remembered]
    if any(_matches(password, hashed) for hashed in before):
        raise PasswordPolicyViolation(
            "Password does not conform to the account password policy: it was used before and may not be used again."
        )
    earlier = (login.hashed, *login.earlier)[: password_rules.REMEMBERED_LIMIT]
    return replace(login, hashed=hash_password(password), earlier=earlier, changed_at_ms=ctx.clock.now_ms())


def _matches(password: Plaintext, hashed: str) -> bool:
    try:
        verify_password(password, hashed)
    except WrongPassword:
        return False
    return True


def _need_login(ctx: Context, user: Principal) -> Login:
    login = logins.find(ctx.tx, ctx.sealing, user.id)
    if login is None:
        raise NoSuchEntity(f"Login Profile for User {user.name} cannot be found.")
    return login


def _show(user: Principal, login: Login) -> Params:
    return {
        "UserName": user.name,
        "CreateDate": as_datetime(login.created_at_ms),
        "PasswordResetRequired": login.reset_required,
    }
