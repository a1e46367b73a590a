"""Who may talk to the studio: pages that it served itself, to a person who has its token."""

import hmac
from collections.abc import Collection

from werkzeug.exceptions import Forbidden
from werkzeug.wrappers import Request, Response

# The page loads nothing from elsewhere and cannot be shown inside another page.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",  # the address has the token
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Guard:
    """Checks requests.

    Args:
      token: the secret that the person was given.
      hosts: the names by which the server is reached. Another name is that of a page which made a
        name of its own point to this machine.
    """

    def __init__(self, token: str, hosts: Collection[str]):
        self._token, self._hosts = token.encode(), frozenset(hosts)

    def check_site(self, request: Request) -> None:
        """Checks that the server was reached by its own name, from no other site.

        Raises:
          Forbidden: if not.
        """
        host = request.headers.get("Host", "")
        if host.rpartition(":")[0] not in self._hosts and host not in self._hosts:
            raise Forbidden("open the studio at the address that it printed, not by another name")
        origin = request.headers.get("Origin")
        if origin is not None and origin != f"{request.scheme}://{host}":
            raise Forbidden("the request comes from another site")

    def check_token(self, given: str | None) -> None:
        """Checks the token of a request.

        Raises:
          Forbidden: if it is not that of the server.
        """
        if not self.is_token(given):
            raise Forbidden("the token is missing or wrong; open the address that the server told")

    def is_token(self, given: str | None) -> bool:
        """Returns whether a text is the token, in a time that does not depend on the text."""
        return hmac.compare_digest((given or "").encode("utf-8", "replace"), self._token)

    @staticmethod
    def protect(response: Response) -> Response:
        """Adds the headers that tell the browser what the page may do."""
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Cache-Control", "no-store")
        return response
