"""The server of the studio as a WSGI application. It holds no state besides the model.

GET /               the page, with `?token=`
GET /static/...     its modules, style and sound
POST /api/NAME      JSON in and out, with the token in the header X-Token; see `fields` and `api`
"""

import json
import mimetypes
import secrets
from collections.abc import Collection, Iterable
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pretty_midi
from absl import logging
from werkzeug.exceptions import (
    BadRequest,
    HTTPException,
    InternalServerError,
    MethodNotAllowed,
    NotFound,
    ServiceUnavailable,
)
from werkzeug.utils import send_from_directory
from werkzeug.wrappers import Request, Response

from vaeseq.examples.midi.music.midi_file import Refused
from vaeseq.examples.midi.studio import fields
from vaeseq.examples.midi.studio.api import Api
from vaeseq.examples.midi.studio.guard import Guard
from vaeseq.examples.midi.studio.turns import Busy

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

LOCAL_HOSTS = ("127.0.0.1", "localhost")
MAX_JSON_BYTES = 256 * 1024
MAX_UPLOAD_BYTES = 1 << 20

_STATIC = Path(str(files(__package__).joinpath("static")))
_SOUND_FONT = "TimGM6mb.sf2"  # a part of pretty_midi
_RETRY_SECONDS = 1
# The types of the system may be anything.
_TYPES = mimetypes.MimeTypes(filenames=())
for _type, _suffix in (
    ("text/javascript", ".js"),
    ("application/octet-stream", ".sf2"),
    ("image/svg+xml", ".svg"),
):
    _TYPES.add_type(_type, _suffix)


class Studio:
    """The WSGI application.

    Args:
      api: answers the requests.
      token: what a request must give.
      hosts: the names by which the server may be reached.

    Attributes:
      token: see above.
    """

    def __init__(self, api: Api, token: str, hosts: Collection[str]):
        self.token, self._api, self._guard = token, api, Guard(token, hosts)

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answers one request."""
        request = Request(environ)
        try:
            response = self._answer(request)
        except HTTPException as error:
            response = _error(error)
        except Exception:
            # A mistake of ours. The person sees that there was one, and the server goes on.
            logging.exception("the request %s failed", request.path)
            response = _error(InternalServerError("the server made a mistake; its log says which"))
        return self._guard.protect(response)(environ, start_response)

    def close(self) -> None:
        """Ends what runs in the background."""
        self._api.close()

    def _answer(self, request: Request) -> Response:
        self._guard.check_site(request)
        if request.path == "/":
            _require_method(request, "GET")
            return self._page(request)
        if request.path.startswith("/static/"):
            _require_method(request, "GET")
            return _static(request)
        if request.path.startswith("/api/"):
            self._guard.check_token(request.headers.get("X-Token"))
            return self._call(request, request.path.removeprefix("/api/"))
        raise NotFound("there is no such address")

    def _page(self, request: Request) -> Response:
        if self._guard.is_token(request.args.get("token")):
            return send_from_directory(_STATIC, "index.html", request.environ, mimetype="text/html")
        return Response((_STATIC / "closed.html").read_bytes(), 403, mimetype="text/html")

    def _call(self, request: Request, name: str) -> Response:
        if name not in self._api.names:
            raise NotFound(f"this run has no request {name[:40]!r}")
        _require_method(request, "POST")
        try:
            return self._api.answer(name, self._read(request, name))
        except Busy:
            raise ServiceUnavailable(
                "the model has too much to do; try again", retry_after=_RETRY_SECONDS
            ) from None
        except (ValueError, Refused) as error:
            raise BadRequest(str(error)) from error

    def _read(self, request: Request, name: str) -> dict[str, Any]:
        """Returns the fields of a request; of an upload, its body and its name."""
        request.max_content_length = MAX_UPLOAD_BYTES if name == "upload" else MAX_JSON_BYTES
        body = request.get_data(cache=False)
        if name == "upload":
            return {"body": body, "name": request.headers.get("X-Name", "")}
        return fields.parse(name, body)


def _require_method(request: Request, method: str) -> None:
    if request.method != method and (method, request.method) != ("GET", "HEAD"):
        raise MethodNotAllowed([method], f"this address takes {method} only")


def _static(request: Request) -> Response:
    name = request.path.removeprefix("/static/")
    folder = Path(pretty_midi.__file__).parent if name == _SOUND_FONT else _STATIC
    kind = _TYPES.guess_type(name)[0]
    response = send_from_directory(folder, name, request.environ, mimetype=kind)
    response.headers["Cache-Control"] = "no-cache"  # but ask whether it has changed
    return response


def _error(error: HTTPException) -> Response:
    headers = [x for x in error.get_headers() if x[0] not in ("Content-Type", "Content-Length")]
    body = json.dumps({"error": error.description})
    return Response(body, error.code, headers, mimetype="application/json")


def create_app(
    log_dir: str, token: str | None = None, hosts: Collection[str] = LOCAL_HOSTS
) -> Studio:
    """Returns the studio of a run as a WSGI application; `close` it at the end.

    Args:
      log_dir: the run directory.
      token: what the address of the page must have as `?token=`; None makes a random one, which is
        the attribute `token`.
      hosts: the names by which the server may be reached, without ports.

    Raises:
      UsageError: if there is no run, or none that the studio can play.
    """
    return Studio(Api.of_run(log_dir), token or secrets.token_urlsafe(24), hosts)
