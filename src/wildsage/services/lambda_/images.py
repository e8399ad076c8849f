"""Container images of functions: whose they are, and how the engine gets them.

An image in this server's own registry is asked for as whoever creates the function ("the permissions for the user or
role that creates the function", Developer Guide, "Create a Lambda function using a container image"); the service then
fetches it by itself, as on AWS, so that a function can be updated when its creator is gone.
"""

from __future__ import annotations

from wildsage.core.caller import root_of
from wildsage.core.errors import ApiError, ClientFault
from wildsage.images import uris
from wildsage.images.seeking import Pull
from wildsage.kit import privaterepositories
from wildsage.kit.context import Context, Platform
from wildsage.kit.registryimages import find_image, read_name
from wildsage.services.lambda_.names import error, invalid
from wildsage.store.resources import Resource


async def check(ctx: Context, uri: str) -> None:
    """Raises what Lambda raises for an image of this server's that is not there, or not the caller's to use."""
    if not _is_own(ctx.platform, uri):
        return
    try:
        found = await find_image(ctx.platform, ctx.caller, uri)
    except ApiError as refused:
        if refused.status >= 500:
            raise
        words = "Lambda does not have permission to access the ECR image. Check the ECR permissions."
        raise error("AccessDeniedException", f"{words} ({refused.message})", 403) from None
    if found is None:
        raise invalid(f"Source image {uri} does not exist. Provide a valid source image.")


async def pull_of(platform: Platform, function: Resource) -> Pull:
    """How the engine gets the image that is wanted of a function. Raises ClientFault, ApiError."""
    uri: str = function.state["wanted"]
    if not _is_own(platform, uri):
        return Pull(guarded=await privaterepositories.is_private(platform, uris.common_name(uri)))
    found = await find_image(platform, root_of(function.key.account), uri)
    if found is None:
        raise ClientFault(f"Source image {uri} does not exist any more.")
    return Pull(True, found.reference, (found.username, found.password))


def _is_own(platform: Platform, uri: str) -> bool:
    name, settings = read_name(platform, uri), platform.settings
    return name is not None and name.account in (settings.account, *settings.accounts)
