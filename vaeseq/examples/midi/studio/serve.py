"""The command `studio` of vaeseq-midi: serves the page on this machine."""

import argparse
import socket
import threading
from typing import Any, TypeAlias

from absl import logging
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from vaeseq.cli import desktop
from vaeseq.errors import UsageError
from vaeseq.examples.midi.studio.app import Studio, create_app

Connection: TypeAlias = "socket.socket | tuple[bytes, socket.socket]"
Address: TypeAlias = Any

_HOST = "127.0.0.1"
_CONNECTIONS = 64  # at once; each has a thread
_SECONDS = 60  # for a connection that sends nothing


def studio(args: argparse.Namespace) -> None:
    """Serves the studio of a run until Ctrl-C."""
    with _bind(args.port) as listening:
        app = create_app(args.log_dir)
        address = f"http://{_HOST}:{listening.getsockname()[1]}/?token={app.token}"
        server = _Server(listening, app)
        print(f"the studio is open at {address}\nCtrl-C closes it", flush=True)
        if not args.no_browser:
            # It may take seconds, in which the page is served already.
            threading.Thread(target=_open, args=(address,), daemon=True).start()
        try:
            server.serve_forever()  # returns at Ctrl-C
        finally:
            app.close()


def _bind(port: int) -> socket.socket:
    """Returns a socket that listens at a port of this machine.

    Raises:
      UsageError: if the port is in use, or not ours.
    """
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((_HOST, port))
        listening.listen()
    except OSError as error:
        listening.close()
        raise UsageError(
            f"--port: cannot listen at {port}: {error.strerror}; choose another, or 0 for any"
        ) from error
    return listening


def _open(address: str) -> None:
    failure = desktop.open_address(address)
    if failure:
        logging.warning("cannot open the browser: %s; open the address yourself", failure)


class _Handler(WSGIRequestHandler):
    """Handles a connection, with time limits and without a line for each request."""

    timeout = _SECONDS

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Logs nothing: the address has the token."""


class _Server(ThreadedWSGIServer):
    """A server that closes connections of which there are too many."""

    def __init__(self, listening: socket.socket, app: Studio):
        host, port = listening.getsockname()
        super().__init__(host, port, app, _Handler, fd=listening.fileno())
        self._places = threading.Semaphore(_CONNECTIONS)

    def process_request(self, request: Connection, client_address: Address) -> None:
        """Handles a connection in a thread of its own, if there is place for it."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Connection, client_address: Address) -> None:
        """Handles a connection, and gives its place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()
