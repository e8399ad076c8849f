"""S3's form upload (POST Object), which browsers send: it becomes a PutObject of whoever signed its policy.

Source: Amazon S3 API Reference, "POST Object" and "Authenticating Requests: Browser-Based Uploads Using POST".
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode
from xml.etree import ElementTree

from wildsage.core.caller import ANONYMOUS
from wildsage.core.errors import ApiError
from wildsage.gateway.authenticate import NOBODY, identity_of, signer
from wildsage.gateway.exchange import Exchange
from wildsage.gateway.form_policy import FileField, Limits, check_policy, malformed_form
from wildsage.gateway.parts import Parts
from wildsage.wire import sigv4_errors
from wildsage.wire.authorization import ALGORITHM, SIGV2_QUERY, TERMINATOR, Authorization
from wildsage.wire.http.forms import Form, MalformedForm, open_form
from wildsage.wire.http.messages import Headers, Request, Response
from wildsage.wire.model import load
from wildsage.wire.names import virtual_bucket
from wildsage.wire.protocols import protocol_of
from wildsage.wire.protocols.xml_writer import text_element
from wildsage.wire.sigv4 import signing_key

_FILENAME: Final = "${filename}"
_HEADER_NAME: Final = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110 section 5.6.2
_REDIRECT: Final = re.compile(r"https?://[\x21-\x7e]+")
_AS_HEADERS: Final = ("cache-control", "content-type", "content-disposition", "content-encoding", "expires")


def is_form_upload(request: Request) -> bool:
    """Whether this is an unsigned form with a file, which only S3 takes."""
    content_type = request.header("content-type") or ""
    return (
        request.method == "POST"
        and content_type.startswith("multipart/form-data")
        and request.header("authorization") is None
    )


async def receive_form(parts: Parts, exchange: Exchange) -> None:
    """Stands in for identify and authenticate; what follows sees a PutObject."""
    request = exchange.http
    exchange.service, exchange.region = "s3", parts.platform.settings.region
    exchange.model = model = load("s3")
    exchange.protocol = protocol_of(request, model)
    exchange.operation = model.operations["PutObject"]
    bucket = virtual_bucket(request.header("host") or "") or request.path.strip("/")
    try:
        form = await open_form(request.header("content-type") or "", request.body)
    except MalformedForm as error:
        raise malformed_form(error) from error
    fields, file = form.fields, form.file
    if "key" not in fields:
        raise _missing("key")
    if file is None:
        raise ApiError("InvalidArgument", "POST requires exactly one file upload per request.", 400)
    key = fields["key"] = fields["key"].replace(_FILENAME, _base_name(form))
    limits = await _authenticate(parts, exchange, fields, bucket)
    exchange.labels = {"Bucket": bucket, "Key": key}
    target = f"/{quote(bucket)}/{quote(key)}"
    exchange.request = Request("PUT", target, _headers(request, fields), FileField(file, limits), request.peer)
    exchange.rewrite = lambda response: _answer(response, fields, bucket, key, request)


def _base_name(form: Form) -> str:
    return form.filename.replace("\\", "/").rpartition("/")[2]


async def _authenticate(parts: Parts, exchange: Exchange, fields: Mapping[str, str], bucket: str) -> Limits:
    """Finds who signed the policy and holds the form to it; without a policy nobody did."""
    policy = fields.get("policy")
    if policy is None:
        exchange.caller, exchange.identity = ANONYMOUS, NOBODY
        return Limits()
    exchange.authorization = authorization = _authorization(fields)
    exchange.region = authorization.region or exchange.region
    caller, secret, session = await signer(parts, authorization)
    if not hmac.compare_digest(_signature(authorization, secret, policy), authorization.signature):
        raise sigv4_errors.mismatch(authorization, policy, "")
    exchange.caller = caller
    exchange.identity = await identity_of(parts, authorization, caller, session)
    return check_policy(policy, fields, bucket, parts.platform.clock.now())


def _authorization(fields: Mapping[str, str]) -> Authorization:
    """What the form says about its signature: version 4, or version 2 as older tools still write it."""
    token = fields.get("x-amz-security-token", "")
    if "x-amz-signature" not in fields:
        for name in ("signature", "awsaccesskeyid"):
            if name not in fields:
                raise _missing(name)
        key, signature = fields["awsaccesskeyid"], fields["signature"]
        return Authorization(key, "", "", "s3", "", signature, "", token, True, 0, "s3", SIGV2_QUERY)
    scope = fields.get("x-amz-credential", "").rsplit("/", 4)
    if fields.get("x-amz-algorithm") != ALGORITHM or len(scope) != 5 or scope[4] != TERMINATOR:
        raise ApiError("InvalidArgument", "The form's x-amz-algorithm or x-amz-credential cannot be read.", 400)
    key, date, region, service = scope[:4]
    signature, moment = fields["x-amz-signature"], fields.get("x-amz-date", "")
    return Authorization(key, date, region, service, "", signature, moment, token, True, 0, "s3")


def _signature(authorization: Authorization, secret: str, policy: str) -> str:
    """What the signature of ``policy`` must be."""
    if authorization.algorithm == SIGV2_QUERY:
        return base64.b64encode(hmac.digest(secret.encode(), policy.encode(), "sha1")).decode()
    key = signing_key(secret, authorization.date, authorization.region, authorization.service)
    return hmac.digest(key, policy.encode(), "sha256").hex()


def _missing(name: str) -> ApiError:
    words = (
        f"Bucket POST must contain a field named '{name}'.  If it is specified, please check the order of the fields."
    )
    return ApiError("InvalidArgument", words, 400, {"ArgumentName": name, "ArgumentValue": ""})


def _headers(request: Request, fields: Mapping[str, str]) -> Headers:
    """The fields as PutObject's headers, with the form's own about the browser."""
    kept = [(name, value) for name, value in request.headers if name in ("host", "origin", "referer", "user-agent")]
    for name, value in fields.items():
        wanted = name in _AS_HEADERS or name.startswith("x-amz-")
        header = {"acl": "x-amz-acl", "tagging": "x-amz-tagging"}.get(name, name if wanted else "")
        if header and not _HEADER_NAME.fullmatch(header):
            raise ApiError("InvalidArgument", f"The field {name!r} cannot be the name of a header.", 400)
        if header:
            text = _tags(value) if name == "tagging" else value
            kept.append((header, text.encode().decode("latin-1")))
    return kept


def _tags(xml: str) -> str:
    """A Tagging document as the header has it."""
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError:
        raise ApiError("MalformedXML", "The tagging field is not a Tagging document", 400) from None
    pairs = [(tag.findtext("{*}Key") or "", tag.findtext("{*}Value") or "") for tag in root.iterfind(".//{*}Tag")]
    return urlencode(pairs)


def _answer(response: Response, fields: Mapping[str, str], bucket: str, key: str, request: Request) -> Response:
    """PutObject's answer as the form wants it: a redirect, an XML document or nothing."""
    etag = response.header("etag") or ""
    redirect = fields.get("success_action_redirect") or fields.get("redirect")
    if redirect and _REDIRECT.fullmatch(redirect):
        base, _, query = redirect.partition("?")
        pairs = [*parse_qsl(query), ("bucket", bucket), ("key", key), ("etag", etag)]
        return Response(303, [*response.headers, ("location", f"{base}?{urlencode(pairs, quote_via=quote)}")])
    location = f"{request.scheme}://{request.header('host')}/{quote(bucket)}/{quote(key)}"
    headers = [*response.headers, ("location", location)]
    status = fields.get("success_action_status")
    if status == "201":
        text = "".join(
            text_element(name, value)
            for name, value in (("Location", location), ("Bucket", bucket), ("Key", key), ("ETag", etag))
        )
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n<PostResponse>{text}</PostResponse>'
        return Response(201, [*headers, ("content-type", "application/xml")], body.encode())
    return Response(200 if status == "200" else 204, headers)
