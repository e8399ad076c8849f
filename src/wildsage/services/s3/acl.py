"""Access control lists (S3 User Guide, "Access control list (ACL) overview"): what they say and whom they let in.

Buckets whose ownership is ``BucketOwnerEnforced`` have none; new buckets get that, as in AWS since April 2023.
A grant is kept in the API's form, with the canonical id of an account or the URI of a group.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from wildsage.core.errors import ApiError
from wildsage.services.s3 import errors
from wildsage.services.s3.names import owner_id
from wildsage.store.codec import Document

ENFORCED: Final = "BucketOwnerEnforced"
PREFERRED: Final = "BucketOwnerPreferred"
_ALL_USERS: Final = "http://acs.amazonaws.com/groups/global/AllUsers"
_AUTHENTICATED: Final = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
_LOG_DELIVERY: Final = "http://acs.amazonaws.com/groups/s3/LogDelivery"
_GROUPS: Final = (_ALL_USERS, _AUTHENTICATED, _LOG_DELIVERY)
_PUBLIC: Final = (_ALL_USERS, _AUTHENTICATED)
_HARMLESS: Final = (None, "bucket-owner-full-control")
_PERMISSIONS: Final = ("FULL_CONTROL", "READ", "WRITE", "READ_ACP", "WRITE_ACP")
_HEADERS: Final = {
    "GrantFullControl": "FULL_CONTROL",
    "GrantRead": "READ",
    "GrantReadACP": "READ_ACP",
    "GrantWrite": "WRITE",
    "GrantWriteACP": "WRITE_ACP",
}
_GRANTEES: Final = ("id", "uri", "emailAddress")
# Canned ACL → what it grants beyond the owner's full control.
_CANNED: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "private": (),
    "public-read": ((_ALL_USERS, "READ"),),
    "public-read-write": ((_ALL_USERS, "READ"), (_ALL_USERS, "WRITE")),
    "authenticated-read": ((_AUTHENTICATED, "READ"),),
    "aws-exec-read": (),
    "log-delivery-write": ((_LOG_DELIVERY, "WRITE"), (_LOG_DELIVERY, "READ_ACP")),
}

Grants = list[Document]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an ACL is put. ``owner``: the account that owns what gets it; ``bucket_owner``: the bucket's.

    ``ids``: the canonical ids of every account that there is.
    """

    owner: str
    bucket_owner: str
    ids: frozenset[str]


def ids_of(accounts: Iterable[str]) -> frozenset[str]:
    """The canonical ids of accounts."""
    return frozenset(owner_id(account) for account in accounts)


def stated(request: Document) -> bool:
    """Whether a request carries an ACL at all."""
    return bool(request.get("ACL") or request.get("AccessControlPolicy") or any(request.get(n) for n in _HEADERS))


def refuse_acl(request: Document) -> None:
    """For buckets without ACLs: only those that change nothing are taken. Raises AccessControlListNotSupported."""
    policy = request.get("AccessControlPolicy") or {}
    listed = policy.get("Grants") or []
    foreign = [grant for grant in listed if grant.get("Permission") != "FULL_CONTROL" or len(listed) > 1]
    if any(request.get(name) for name in _HEADERS) or request.get("ACL") not in _HARMLESS or foreign:
        raise ApiError("AccessControlListNotSupported", "The bucket does not allow ACLs", 400)


def read(request: Document, place: Place) -> Grants:
    """The grants that a request states, checked; the owner's full control where it states none.

    Raises InvalidRequest, InvalidArgument, MalformedACLError or UnresolvableGrantByEmailAddress.
    """
    headers = [(name, request[name]) for name in _HEADERS if request.get(name)]
    canned, policy = request.get("ACL"), request.get("AccessControlPolicy")
    if headers and canned:
        raise errors.invalid_request("Specifying both Canned ACLs and Header Grants is not allowed")
    if policy and (headers or canned):
        raise ApiError("UnexpectedContent", "This request does not support content", 400)
    if policy:
        return _of_document(policy, place)
    if headers:
        return [_grant(_grantee(text, place), _HEADERS[name]) for name, value in headers for text in value.split(",")]
    return _of_canned(canned or "private", place)


def full_control(account: str) -> Grants:
    """What everything has that was given no ACL."""
    return [_grant(_user(owner_id(account)), "FULL_CONTROL")]


def _of_canned(name: str, place: Place) -> Grants:
    grants = full_control(place.owner)
    if name.startswith("bucket-owner-"):
        if place.owner != place.bucket_owner:
            permission = "READ" if name == "bucket-owner-read" else "FULL_CONTROL"
            grants.append(_grant(_user(owner_id(place.bucket_owner)), permission))
        return grants
    return grants + [_grant({"Type": "Group", "URI": uri}, permission) for uri, permission in _CANNED[name]]


def _of_document(policy: Document, place: Place) -> Grants:
    owner = (policy.get("Owner") or {}).get("ID")
    if owner is None:
        raise ApiError("MalformedACLError", "The XML you provided was not well-formed", 400)
    if owner != owner_id(place.owner):
        raise errors.access_denied()
    grants: Grants = []
    for given in policy.get("Grants") or []:
        grantee, permission = given.get("Grantee") or {}, given.get("Permission")
        if permission not in _PERMISSIONS:
            raise ApiError("MalformedACLError", "The XML you provided was not well-formed", 400)
        grants.append(_grant(_checked(grantee, place), permission))
    return grants


def _grantee(text: str, place: Place) -> Document:
    """``id="…"``, ``uri="…"`` or ``emailAddress="…"``."""
    kind, found, value = (part.strip() for part in text.partition("="))
    value = value.removeprefix('"').removesuffix('"')
    if kind not in _GRANTEES or not found or '"' in value:
        raise errors.invalid_argument("Argument format not recognized", "x-amz-grant", text)
    return _checked({"id": {"ID": value}, "uri": {"URI": value}}.get(kind, {"EmailAddress": value}), place)


def _checked(grantee: Document, place: Place) -> Document:
    if grantee.get("ID"):
        if grantee["ID"] not in place.ids:
            raise errors.invalid_argument("Invalid id", "CanonicalUser/ID", grantee["ID"])
        return _user(grantee["ID"])
    if grantee.get("URI"):
        if grantee["URI"] not in _GROUPS:
            raise errors.invalid_argument("Invalid group uri", "Group/URI", grantee["URI"])
        return {"Type": "Group", "URI": grantee["URI"]}
    if grantee.get("EmailAddress"):
        # S3 ended grants by e-mail in October 2025, and accounts have no address here.
        raise ApiError(
            "UnresolvableGrantByEmailAddress",
            "The e-mail address you provided does not match any account on record.",
            400,
        )
    raise ApiError("MalformedACLError", "The XML you provided was not well-formed", 400)


def _user(canonical: str) -> Document:
    return {"Type": "CanonicalUser", "ID": canonical}


def _grant(grantee: Document, permission: str) -> Document:
    return {"Grantee": grantee, "Permission": permission}


def is_public(grants: Sequence[Document]) -> bool:
    """Whether a grant is to everyone, or to everyone who has an account somewhere."""
    return any(grant["Grantee"].get("URI") in _PUBLIC for grant in grants)


def allows(grants: Sequence[Document], permission: str, account: str, ignore_public: bool) -> bool:
    """Whether the grants give ``permission`` to ``account`` (empty for the anonymous)."""
    own = owner_id(account) if account else None
    for grant in grants:
        if grant["Permission"] not in (permission, "FULL_CONTROL"):
            continue
        grantee = grant["Grantee"]
        if own is not None and grantee.get("ID") == own:
            return True
        uri = grantee.get("URI")
        if not ignore_public and (uri == _ALL_USERS or (uri == _AUTHENTICATED and account)):
            return True
    return False


def told(owner: str, grants: Sequence[Document], accounts: Iterable[str]) -> Document:
    """The answer of GetBucketAcl and GetObjectAcl; ``accounts``: all there are, for their names."""
    called = {owner_id(account): account for account in (*accounts, owner)}
    listed = [{**grant, "Grantee": _named(grant["Grantee"], called)} for grant in grants]
    groups_first = sorted(listed, key=lambda grant: "URI" not in grant["Grantee"])
    return {"Owner": {"ID": owner_id(owner), "DisplayName": owner}, "Grants": groups_first}


def _named(grantee: Document, called: Mapping[str, str]) -> Document:
    name = called.get(grantee.get("ID", ""))
    return grantee if name is None else {**grantee, "DisplayName": name}
