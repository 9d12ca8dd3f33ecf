"""Service settings of Parameter Store: the default tier, and higher throughput.

Nothing is throttled here, so the second one changes nothing; it is kept for clients that set it.
Source: UpdateServiceSetting, API reference.
"""

from typing import Final

from geumgo.context import Context, Params, as_datetime
from geumgo.domain.arn import split_arn
from geumgo.room import operation, reads
from geumgo.services.ssm import store
from geumgo.services.ssm.errors import ServiceSettingNotFound, ValidationFailed
from geumgo.services.ssm.records import ADVANCED, INTELLIGENT, STANDARD, Setting

DEFAULT_TIER: Final = "/ssm/parameter-store/default-parameter-tier"
THROUGHPUT: Final = "/ssm/parameter-store/high-throughput-enabled"

_VALUES: Final = {DEFAULT_TIER: (STANDARD, ADVANCED, INTELLIGENT), THROUGHPUT: ("false", "true")}
"""Every setting with what it may be; its default first."""

_KIND: Final = "servicesetting"


def default_tier(ctx: Context) -> str:
    """The tier of a parameter whose request names none."""
    setting = store.find_setting(ctx.tx, ctx.sealing, ctx.place, DEFAULT_TIER)
    return STANDARD if setting is None else setting.value


def arn_of(ctx: Context, given: str) -> str:
    """The ARN of the setting that `given`, an id or an ARN, names."""
    return given if given.startswith("arn:") else ctx.place.arn("ssm", f"{_KIND}/{given.lstrip('/')}")


def _id_of(ctx: Context, given: str) -> str:
    """The setting that a request names. Raises ServiceSettingNotFound for anything else, or another place's."""
    arn = split_arn(arn_of(ctx, given))
    if arn is None or str(arn) != ctx.place.arn("ssm", arn.resource):
        raise ServiceSettingNotFound
    setting_id = arn.resource.removeprefix(_KIND)
    if setting_id not in _VALUES:
        raise ServiceSettingNotFound
    return setting_id


@reads
def get_service_setting(ctx: Context, params: Params) -> Params:
    setting_id = _id_of(ctx, params["SettingId"])
    return {"ServiceSetting": _shown(ctx, setting_id, store.find_setting(ctx.tx, ctx.sealing, ctx.place, setting_id))}


@operation
def update_service_setting(ctx: Context, params: Params) -> Params:
    """Raises ServiceSettingNotFound; ValidationFailed for a value that it cannot have. Unverified: the message."""
    setting_id, value = _id_of(ctx, params["SettingId"]), params["SettingValue"]
    if value not in _VALUES[setting_id]:
        raise ValidationFailed(f"The setting {setting_id} can be one of: {', '.join(_VALUES[setting_id])}.")
    store.keep_setting(ctx.tx, ctx.sealing, ctx.place, Setting(setting_id, value, ctx.clock.now_ms(), ctx.caller.arn))
    return {}


@operation
def reset_service_setting(ctx: Context, params: Params) -> Params:
    setting_id = _id_of(ctx, params["SettingId"])
    store.remove_setting(ctx.tx, ctx.place, setting_id)
    return {"ServiceSetting": _shown(ctx, setting_id, None)}


def _shown(ctx: Context, setting_id: str, setting: Setting | None) -> Params:
    """Unverified: that a default is said to be modified by System, at no time."""
    answer: Params = {
        "SettingId": setting_id,
        "SettingValue": _VALUES[setting_id][0] if setting is None else setting.value,
        "LastModifiedUser": "System" if setting is None else setting.modified_by,
        "ARN": arn_of(ctx, setting_id),
        "Status": "Default" if setting is None else "Customized",
    }
    if setting is not None:
        answer["LastModifiedDate"] = as_datetime(setting.modified_at_ms)
    return answer
