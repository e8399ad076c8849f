"""Who makes a call."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """The principal of one request, as STS GetCallerIdentity would name it.

    ``arn``: ``arn:aws:iam::A:root``, ``arn:aws:iam::A:user/U`` or ``arn:aws:sts::A:assumed-role/R/S``.
    ``principal``: the ARN policies are attached to: the root, the user, or the role behind a session.
    An AWS service that acts by itself (``service_caller``) has its name in all of these and no account; it acts for the
    resource ``source_arn`` of ``source_account``.
    """

    account: str
    arn: str
    user_id: str
    principal: str
    access_key: str
    source_arn: str = ""
    source_account: str = ""

    @property
    def is_service(self) -> bool:
        return self.source_arn != ""

    @property
    def is_root(self) -> bool:
        return self.principal.endswith(":root")


ANONYMOUS = Caller("", "anonymous", "anonymous", "anonymous", "")
"""Whoever sends an unsigned request to a service that takes them: of no account."""


def root_of(account: str, access_key: str = "") -> Caller:
    """The account's root user."""
    arn = f"arn:aws:iam::{account}:root"
    return Caller(account, arn, account, arn, access_key)


def service_caller(name: str, source_arn: str, source_account: str) -> Caller:
    """An AWS service (``s3.amazonaws.com``) that calls another because of one of its resources."""
    return Caller("", name, name, name, "", source_arn, source_account)


def session_of(account: str, role_name: str, role_id: str, session: str, access_key: str = "") -> Caller:
    """A session of an assumed role; ``role_id`` is the role's AROA… id."""
    return Caller(
        account,
        f"arn:aws:sts::{account}:assumed-role/{role_name}/{session}",
        f"{role_id}:{session}",
        f"arn:aws:iam::{account}:role/{role_name}",
        access_key,
    )
