"""What a stock AWS client needs in its environment to use this server and nothing else.

Why each variable is there: docs/design/access.md.
"""

from __future__ import annotations

from collections.abc import Mapping

from wildsage.cli.sdk_defaults import path_of
from wildsage.cli.server_file import ServerFile
from wildsage.core import credentials as server_credentials
from wildsage.core import sessions
from wildsage.core.settings import DataDir

SESSION = "wildsage"
SESSION_SECONDS = 7 * 86400.0
# A user's own settings that would send clients elsewhere, or that name profiles which need not exist.
REMOVED = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_USE_FIPS_ENDPOINT",
)
_SERVICE_ENDPOINTS = "AWS_ENDPOINT_URL_"
_LOCAL = "127.0.0.1,localhost,::1"


def client_environment(data: DataDir, server: ServerFile, environ: Mapping[str, str], now: float) -> dict[str, str]:
    """The variables to set. ``environ``: those there are, whose NO_PROXY is kept."""
    credentials = server_credentials.load(data.credentials)
    session = sessions.issue(credentials.master, credentials.role_session(SESSION), now, now + SESSION_SECONDS)
    exempt = ",".join(dict.fromkeys([*_LOCAL.split(","), *_listed(environ)]))
    return {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_REGION": server.region,
        "AWS_DEFAULT_REGION": server.region,
        "AWS_ACCESS_KEY_ID": session.access_key,
        "AWS_SECRET_ACCESS_KEY": session.secret,
        "AWS_SESSION_TOKEN": session.token,
        "AWS_CA_BUNDLE": str(data.tls / "bundle.pem"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "HTTPS_PROXY": server.url,
        "https_proxy": server.url,
        "NO_PROXY": exempt,
        "no_proxy": exempt,
        "SAGEMAKER_ADMIN_CONFIG_OVERRIDE": str(path_of(data)),
        "WILDSAGE_DATA": str(data.root),
        "WILDSAGE_ROLE": credentials.role_arn,
    }


def removed(environ: Mapping[str, str]) -> list[str]:
    """The variables to take away."""
    return [name for name in environ if name in REMOVED or name.startswith(_SERVICE_ENDPOINTS)]


def _listed(environ: Mapping[str, str]) -> list[str]:
    given = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
    return [host.strip() for host in given.split(",") if host.strip()]
