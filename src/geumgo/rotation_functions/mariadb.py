"""MariaDB: speaks as MySQL does. Driver: PyMySQL."""

from .mysql import connect, set_clone, set_password

__all__ = ["BY_MASTER", "ENGINE", "NAME_LIMIT", "connect", "set_clone", "set_password"]

ENGINE = "mariadb"
NAME_LIMIT = 80  # characters
BY_MASTER = False
