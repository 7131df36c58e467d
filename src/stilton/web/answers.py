"""devpi's JSON as a response."""

from starlette.responses import Response

from stilton.render import devpi_json


def answer(
    kind: str | None = None, result: object = None, *, message: str | None = None, status: int = 200
) -> Response:
    """The envelope with its exact content type, which clients compare."""
    body = devpi_json.reply(kind, result, message)
    headers = {
        "content-type": "application/json",
        "vary": "Accept, User-Agent, Authorization, X-Devpi-Auth",
        "cache-control": "private, no-cache",
    }
    return Response(body, status, headers=headers)
