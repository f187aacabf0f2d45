"""Who may use the app: anybody on this machine; from elsewhere only who knows a name and a password."""

import ipaddress
import os
from pathlib import Path

from vljepa.errors import VLJEPAError

AUTH = "VLJEPA_AUTH"  # environment: USER:PASSWORD, for containers
Users = list[tuple[str, str]]


def users(given: list[str]) -> Users:
    """Names and passwords from `USER:FILE` options and from the environment; a file holds nothing but the password.

    VLJEPAError if a file is missing or empty, or a name is.
    """
    found = [_from_file(entry) for entry in given]
    if told := os.environ.get(AUTH):
        name, _, password = told.partition(":")
        if not name or not password:
            raise VLJEPAError(f"{AUTH} must be USER:PASSWORD")
        found.append((name, password))
    return found


def check_host(host: str, allowed: Users, open_to_all: bool) -> None:
    """VLJEPAError if the app would listen to other machines without asking who they are."""
    if is_this_machine(host) or allowed or open_to_all:
        return
    raise VLJEPAError(f"{host} can be reached from other machines: give --auth USER:FILE, a file that holds the "
                      f"password (or {AUTH}=USER:PASSWORD), or say --no-auth if everybody there may use it")


def is_this_machine(host: str) -> bool:
    """Whether only programs on this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _from_file(entry: str) -> tuple[str, str]:
    name, _, file = entry.partition(":")
    if not name or not file:
        raise VLJEPAError(f"--auth must be USER:FILE, a file that holds the password, got {entry!r}")
    try:
        password = Path(file).read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise VLJEPAError(f"the password file {file} cannot be read: {getattr(error, 'strerror', error)}") from None
    if not password:
        raise VLJEPAError(f"the password file {file} is empty: write the password of {name} into it")
    return name, password
