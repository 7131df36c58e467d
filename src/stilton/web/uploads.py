"""POST to an index: uploads as twine, uv, poetry, flit, hatch and devpi-client send them, and pushes."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from stilton.domain.errors import Invalid, NotFound, StiltonError
from stilton.domain.publishing import Verdict
from stilton.publish.upload import Uploads
from stilton.web.auth import Auth
from stilton.web.forms import Form, drain, form
from stilton.web.projects import Projects
from stilton.web.urls import Here

DRAIN_BYTES = 256 << 20
"""So much of a refused upload is read, so that the client comes to see why."""


class WrongPlace(NotFound):
    """An upload to a URL that takes none."""


class UploadAnswers:
    """`limit_bytes`: of one request."""

    def __init__(self, auth: Auth, here: Here, uploads: Uploads, projects: Projects, *, limit_bytes: int) -> None:
        self._auth = auth
        self._here = here
        self._uploads = uploads
        self._projects = projects
        self._limit_bytes = limit_bytes

    async def post(self, request: Request) -> Response:
        """A form is an upload, anything else a push."""
        if not request.headers.get("content-type", "").startswith("multipart/"):
            return await self._projects.push(request)
        try:
            return await self._upload(request)
        except StiltonError:
            await drain(request, DRAIN_BYTES)
            raise

    async def wrong_place(self, request: Request) -> Response:
        """Say where uploads go."""
        user, index = request.path_params.get("user", "USER"), request.path_params.get("index", "INDEX")
        await drain(request, DRAIN_BYTES)
        raise WrongPlace(f"this URL takes no uploads; upload to {self._here.base(request.scope)}/{user}/{index}/")

    async def _upload(self, request: Request) -> Response:
        actor = await self._auth.actor(request.scope)
        index = await self._uploads.begin(actor, request.path_params["user"], request.path_params["index"])
        sent = await form(request, self._uploads.receive, self._limit_bytes)
        try:
            match sent.fields.get(":action", [None])[-1]:
                case None:
                    raise Invalid(":action field not found")
                case "submit":
                    await self._uploads.register(actor, index, sent.fields)
                    verdict = Verdict.NEW
                case "file_upload":
                    filename = _filename(sent)
                    verdict = await self._uploads.file(actor, index, sent.fields, filename, sent.file)
                case "doc_upload":
                    _filename(sent)
                    verdict = await self._uploads.docs(actor, index, sent.fields, sent.file)
                case action:
                    raise Invalid(f"action {action[:100]!r} not supported")
        finally:
            if sent.file is not None:
                sent.file.discard()
        if verdict is Verdict.SAME and not index.is_volatile:
            return PlainTextResponse("Upload of identical file to non volatile index.")
        return PlainTextResponse("")


def _filename(sent: Form) -> str:
    if sent.filename is None or sent.file is None:
        raise Invalid("content file field not found")
    return sent.filename
