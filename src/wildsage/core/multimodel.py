"""What routers and control say to each other about the models of multi-model endpoints.

Routers ask control, at ``DataDir.models_socket``:

    POST /load     {"endpoint": "us-east-1/many", "instance": "i-0abc", "model": "a/b.tar.gz"}
        200 {"address": "unix:/…/m-0f.sock", "path": "/invocations", "keep": true}    it is loaded
        424 {"status": 500, "body": "…"}                    the container's answer: it cannot be loaded
        404 {}                                              there is no such instance any more
        any other: {"code": "ValidationError", "message": "…"}, as the client shall see it
    POST /unload   the same question; after use, of what is not to be kept. 200 {}

Control asks routers, at their own sockets:

    POST /models/used      {"address": "unix:/…/http.sock"}
        200 {"models": {"a/b.tar.gz": {"idle": 1.5, "outstanding": 0}}}    idle: seconds since it was last used
    POST /models/release   {"address": …, "model": …}
        200 {"released": true}     nothing of that router is under way there, and nothing will go there without asking
"""

from __future__ import annotations

LOAD, UNLOAD = "/load", "/unload"
USED, RELEASE = "/models/used", "/models/release"


def below(target: str) -> str:
    """A TargetModel as it is known here: one slash before it belongs to the prefix.

    SDK v2's ``MultiDataModel.list_models`` yields such names where the prefix was given without a slash at its end.
    """
    return target.removeprefix("/")


def refusal(target: str) -> str:
    """Why ``target`` cannot be a TargetModel: the path of an archive below the prefix of its endpoint's models.

    Empty if it can.
    """
    if any(part in ("", ".", "..") for part in target.split("/")):
        return "must be the path of an object below the ModelDataUrl of its endpoint, without empty parts, '.' or '..'"
    if len(target) > 1024 or not target.isprintable():
        return "must be at most 1024 printable characters"
    return ""
