"""Who is who: access keys, the policies of principals, and roles, looked up for the door and cached.

Whatever changes an entity says so (``IDENTITY_CHANGED``), and the next question reads the store again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from wildsage.access.conditions import PolicyError
from wildsage.access.decisions import Identity
from wildsage.access.managed import managed_policies
from wildsage.access.plain import about, plainly
from wildsage.access.policies import Policy, Principal, Use, compile_policy
from wildsage.core import arn
from wildsage.core.caller import Caller, root_of
from wildsage.core.routes import EVERYTHING, INVOKING, Invoker, ObjectGrant, Permission
from wildsage.core.routes import Key as RouteKey
from wildsage.kit.context import Platform
from wildsage.kit.roles import IDENTITY_CHANGED, ROLE, find_role
from wildsage.services.iam.entities import ACCESS_KEY, POLICY, USER
from wildsage.store.resources import Key, Resource

log = logging.getLogger(__name__)

READ, WRITE = "s3:GetObject", "s3:PutObject"


@dataclass(frozen=True, slots=True)
class LongKey:
    """A long-lived access key: its secret and whom it stands for."""

    secret: str
    caller: Caller


class Directory:
    """One per control process."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._keys: dict[str, LongKey] = {}
        self._identities: dict[tuple[str, str], Identity] = {}  # by ARN and unique id
        self._trusts: dict[str, Policy] = {}
        platform.hints.listen(IDENTITY_CHANGED, self._forget)

    def _forget(self, _about: str) -> None:
        self._keys.clear()
        self._identities.clear()
        self._trusts.clear()

    async def key(self, access_key: str) -> LongKey | None:
        """The key of that id; None if there is none or it is inactive."""
        known = self._keys.get(access_key)
        for account, root in self._platform.credentials.roots.items():
            if known is not None:
                break
            if access_key == root.access_key:
                known = LongKey(root.secret, root_of(account, access_key))
            else:
                known = await self._user_key(account, access_key)
        if known is not None:
            self._keys[access_key] = known
        return known

    async def _user_key(self, account: str, access_key: str) -> LongKey | None:
        resources = self._platform.resources
        found = await resources.get(Key(ACCESS_KEY, account, "", access_key))
        if found is None or found.phase != "Active":
            return None
        user = await resources.get(Key(USER, account, "", found.spec["UserName"]))
        return None if user is None else LongKey(found.state["Secret"], _user_caller(user, access_key))

    async def identity(self, caller: Caller) -> Identity | None:
        """The caller's policies without those of its session; None if its user or role is gone."""
        if caller.is_service:
            return _service_identity(caller)
        who = caller.arn, caller.user_id  # sessions of a role that is gone have the ARNs of those of the new one
        known = self._identities.get(who)
        if known is None:
            known = await self._read_identity(caller)
            if known is not None:
                self._identities[who] = known
        return known

    async def _read_identity(self, caller: Caller) -> Identity | None:
        account = f"arn:aws:iam::{caller.account}:root"
        if caller.is_root:
            context = _context({**_keys_of(caller.account, "Account", account), "aws:userid": caller.user_id})
            return Identity(Principal("AWS", frozenset({account}), account), unrestricted=True, context=context)
        bearer = await self._bearer(caller)
        if bearer is None:
            return None
        policies, boundary = await self._policies(bearer)
        return Identity(
            principal=Principal("AWS", frozenset({caller.arn, _arn_of(bearer)}), account),
            policies=policies,
            boundary=boundary,
            context=_context({"aws:userid": caller.user_id, **_keys_of_bearer(bearer)}),
        )

    async def _bearer(self, caller: Caller) -> Resource | None:
        """The user or role behind a caller, by the unique id as well, so that one made anew is another."""
        kind = ROLE if ":role/" in caller.principal else USER
        name = caller.principal.rpartition("/")[2]
        found = await self._platform.resources.get(Key(kind, caller.account, "", name))
        if found is None or _unique_id(found) != caller.user_id.partition(":")[0]:
            return None
        return found

    async def trust(self, role: str) -> Policy | None:
        """The trust policy of the role of that ARN; None if there is none."""
        known = self._trusts.get(role)
        if known is None:
            found = await find_role(self._platform, role)
            if found is None:
                return None
            known = self._trusts[role] = compile_policy(found.spec["AssumeRolePolicyDocument"], Use.TRUST)
        return known

    async def route_keys(self) -> Mapping[str, RouteKey]:
        """Every long-lived key, for the routing snapshot."""
        own = self._platform.credentials
        keys = {own.access_key: RouteKey(own.secret, own.root.arn, own.root.user_id, own.root.principal)}
        for found in await self._all(ACCESS_KEY):
            with _left_out(found):
                if (known := await self.key(found.key.name)) is not None:
                    caller = known.caller
                    keys[found.key.name] = RouteKey(known.secret, caller.arn, caller.user_id, caller.principal)
        return keys

    async def route_permissions(self) -> Mapping[str, Invoker]:
        """What decides about each principal's invocations, for the routing snapshot."""
        root = self._platform.credentials.root
        permissions = {root.principal: Invoker(root.user_id, EVERYTHING)}
        for kind in (ROLE, USER):
            for bearer in await self._all(kind):
                with _left_out(bearer):
                    policies, boundary = await self._policies(bearer)
                    if said := about(policies, INVOKING):
                        limit = None if boundary is None else about((boundary,), INVOKING)
                        permissions[principal_arn(bearer)] = Invoker(
                            _unique_id(bearer), said, limit, _keys_of_bearer(bearer)
                        )
        return permissions

    async def route_objects(self) -> Mapping[str, ObjectGrant]:
        """Which objects each principal may plainly read and write, for the routing snapshot.

        Only statements without conditions and variables allow there, while such a deny denies: control has the rest.
        """
        root = self._platform.credentials.root
        everything = Permission(allow=("*",))
        grants = {root.principal: ObjectGrant(root.user_id, everything, everything)}
        for kind in (ROLE, USER):
            for bearer in await self._all(kind):
                with _left_out(bearer):
                    found = await self._policies(bearer)
                    grants[principal_arn(bearer)] = ObjectGrant(
                        _unique_id(bearer), _permission(*found, READ), _permission(*found, WRITE)
                    )
        return grants

    async def _policies(self, bearer: Resource) -> tuple[tuple[Policy, ...], Policy | None]:
        """The policies of a user or role, and its permissions boundary."""
        boundary = bearer.spec.get("PermissionsBoundary")
        limit = None if boundary is None else await managed_policy(self._platform, boundary)
        return await policies_of(self._platform, bearer), limit

    async def _all(self, kind: str) -> list[Resource]:
        account = self._platform.settings.account
        return [each for each in await self._platform.resources.readable(kind) if each.key.account == account]


async def policies_of(platform: Platform, bearer: Resource) -> tuple[Policy, ...]:
    """The inline and the attached policies of a user or role."""
    inline = tuple(compile_policy(text) for text in bearer.state["Inline"].values())
    attached = [await managed_policy(platform, policy) for policy in bearer.state["Attached"]]
    return inline + tuple(attached)


async def managed_policy(platform: Platform, policy: str) -> Policy:
    """AWS's or the account's own policy of that ARN in its default version; one that is gone says nothing."""
    shipped = managed_policies().get(policy)
    if shipped is not None:
        return compile_policy(shipped.document)
    account = policy.split(":")[4]
    found = await platform.resources.get(Key(POLICY, account, "", policy.rpartition("/")[2]))
    if found is None:
        return Policy(())
    document = next(v["Document"] for v in found.state["Versions"] if v["VersionId"] == found.state["Default"])
    return compile_policy(document)


@contextmanager
def _left_out(entity: Resource) -> Iterator[None]:
    """What cannot be read of one key or principal leaves it without rights; a change of another's is in force still."""
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError, PolicyError):
        log.exception("routers do not know %r: what is kept of it cannot be read", entity.key)


def _unique_id(bearer: Resource) -> str:
    return str(bearer.status["RoleId" if bearer.key.kind == ROLE else "UserId"])


def _arn_of(bearer: Resource) -> str:
    """The ARN with its path, as policies name it."""
    kind = "role" if bearer.key.kind == ROLE else "user"
    return arn.build("iam", "", bearer.key.account, f"{kind}{bearer.spec['Path']}{bearer.key.name}")


def principal_arn(bearer: Resource) -> str:
    """What ``Caller.principal`` holds: for a role without its path, as a session's ARN does not tell it."""
    if bearer.key.kind == ROLE:
        return arn.build("iam", "", bearer.key.account, f"role/{bearer.key.name}")
    return _arn_of(bearer)


def _user_caller(user: Resource, access_key: str) -> Caller:
    return Caller(user.key.account, _arn_of(user), user.status["UserId"], _arn_of(user), access_key)


def _keys_of(account: str, kind: str, principal: str) -> dict[str, str]:
    return {
        "aws:principalaccount": account,
        "aws:principalarn": principal,
        "aws:principaltype": kind,
        "aws:principalisawsservice": "false",
    }


def _keys_of_bearer(bearer: Resource) -> dict[str, str]:
    """The condition keys of a user or role, whichever of its sessions asks."""
    found = _keys_of(bearer.key.account, "AssumedRole" if bearer.key.kind == ROLE else "User", _arn_of(bearer))
    if bearer.key.kind == USER:
        found |= {"aws:username": bearer.key.name, "aws:userid": _unique_id(bearer)}
    return found | {f"aws:principaltag/{name.lower()}": value for name, value in bearer.tags.items()}


def _context(keys: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    return {key: (value,) for key, value in keys.items()}


def _service_identity(caller: Caller) -> Identity:
    """An AWS service may what the policy of a resource lets it (IAM User Guide, "AWS service principals")."""
    context = {
        "aws:sourcearn": (caller.source_arn,),
        "aws:sourceaccount": (caller.source_account,),
        "aws:principalisawsservice": ("true",),
        "aws:principalservicename": (caller.principal,),
    }
    return Identity(Principal("Service", frozenset({caller.principal})), context=context)


def _permission(policies: tuple[Policy, ...], boundary: Policy | None, action: str) -> Permission:
    allow, deny = plainly(policies, action)
    if boundary is None:
        return Permission(allow, deny)
    within, also = plainly((boundary,), action)
    return Permission(allow, deny + also, within)
