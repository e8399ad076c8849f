"""What a server is known by: its account's root key, the master secret of sessions and the default execution role.

Made on the first start and kept in ``DataDir.credentials`` (mode 0600); whoever can read that file is the account's
root, so the clients' environment holds sessions of the execution role instead.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from wildsage.core import arn
from wildsage.core.caller import Caller, root_of, session_of
from wildsage.core.errors import SettingsError
from wildsage.core.ids import secret_key, unique_id

DEFAULT_ROLE = "WildsageExecutionRole"


@dataclass(frozen=True, slots=True)
class RootKey:
    """The root access key of one account."""

    access_key: str
    secret: str


@dataclass(frozen=True, slots=True)
class ServerCredentials:
    """``master_hex``: the 32 bytes that ``core.sessions`` derives secrets and tokens from. ``role_id``: AROA…

    ``accounts``: the root keys of accounts beside the server's own, by account id.
    """

    account: str
    access_key: str
    secret: str
    master_hex: str
    role_id: str
    role_name: str = DEFAULT_ROLE
    accounts: Mapping[str, RootKey] = field(default_factory=dict)

    @property
    def roots(self) -> Mapping[str, RootKey]:
        """The root key of every account."""
        return {self.account: RootKey(self.access_key, self.secret), **self.accounts}

    @property
    def master(self) -> bytes:
        return bytes.fromhex(self.master_hex)

    @property
    def role_arn(self) -> str:
        """The default execution role, without a path so that its ARN can be told from its sessions' ARNs."""
        return arn.build("iam", "", self.account, f"role/{self.role_name}")

    @property
    def root(self) -> Caller:
        return root_of(self.account, self.access_key)

    def role_session(self, session: str) -> Caller:
        """A caller in the default execution role."""
        return session_of(self.account, self.role_name, self.role_id, session)


def create(path: Path, account: str) -> ServerCredentials:
    """New credentials at ``path``, on disk before they are used."""
    made = ServerCredentials(
        account=account,
        access_key=unique_id("AKIA"),
        secret=secret_key(),
        master_hex=secrets.token_hex(32),
        role_id=unique_id("AROA"),
    )
    _write(path, made)
    return made


def with_accounts(path: Path, credentials: ServerCredentials, accounts: Collection[str]) -> ServerCredentials:
    """``credentials`` with a root key for each of ``accounts``; those that are new are on disk before they are used."""
    missing = sorted(set(accounts) - set(credentials.roots))
    if not missing:
        return credentials
    keys = {account: RootKey(unique_id("AKIA"), secret_key()) for account in missing}
    made = replace(credentials, accounts={**credentials.accounts, **keys})
    _write(path, made)
    return made


def _write(path: Path, made: ServerCredentials) -> None:
    half = path.with_suffix(".new")
    with open(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(asdict(made), file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    half.rename(path)


def load(path: Path) -> ServerCredentials:
    """Raises FileNotFoundError where no server was started yet, SettingsError for a file that is not ours."""
    try:
        read = json.loads(path.read_text())
        accounts = {account: RootKey(**key) for account, key in read.pop("accounts", {}).items()}
        return ServerCredentials(**read, accounts=accounts)
    except (AttributeError, TypeError, ValueError) as error:
        raise SettingsError(f"{path} cannot be read ({error}); restore it or use another data directory") from error
