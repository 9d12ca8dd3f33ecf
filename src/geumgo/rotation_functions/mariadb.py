"""MariaDB: speaks as MySQL does. Driver: PyMySQL."""

from .mysql import connect, keep, set_clone, set_password

__all__ = ["ALSO", "BY_MASTER", "ENGINE", "NAME_LIMIT", "NAME_UNIT", "connect", "keep", "set_clone", "set_password"]

ENGINE = "mariadb"
ALSO: tuple[str, ...] = ()
NAME_LIMIT, NAME_UNIT = 80, "characters"
BY_MASTER = False
