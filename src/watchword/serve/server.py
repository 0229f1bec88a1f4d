"""The server: a socket of its own, the page's address told and opened, until Ctrl-C."""

import asyncio
import errno
import socket
import sys
import threading
import webbrowser
from pathlib import Path

import uvicorn

from watchword.runtime import Spotter
from watchword.serve.app import create_app
from watchword.serve.security import is_loopback

MOST_MESSAGE_BYTES = 1 << 20


class ServeError(ValueError):
    """A server that cannot be started; the message says what to do instead."""


def bind(host: str, port: int) -> socket.socket:
    """Takes a port, 0 for any free one. Raises ServeError where that cannot be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            other = f"--port {port + 1}" if port < 65535 else "--port 8765"
            raise ServeError(f"serve: port {port} of {host} is in use; stop what uses it, or give {other}") from None
        if isinstance(error, PermissionError):
            raise ServeError(f"serve: you may not use port {port}; give one above 1023, as --port 8765") from None
        raise ServeError(f"serve: {host} is no address of this machine; give --host 127.0.0.1") from None


def address(listening: socket.socket, host: str) -> str:
    """The page's address for a browser on this machine."""
    port = listening.getsockname()[1]
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{name}:{port}/"


def serve(bundle: Path | None, host: str, port: int, browser: bool, most_streams: int = 8) -> None:
    """Serves until it is interrupted, then raises KeyboardInterrupt; tells the address on standard error.

    Raises BundleError for a bundle that cannot be used, ServeError for an address that cannot."""
    spotter = Spotter([], bundle)
    listening = bind(host, port)
    url = address(listening, host)
    config = uvicorn.Config(
        create_app(spotter, host, most_streams),
        log_level="warning",
        ws="websockets-sansio",
        ws_max_size=MOST_MESSAGE_BYTES,
        ws_per_message_deflate=False,  # the machine talks to itself
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    if not is_loopback(host):
        print(
            f"serve: {host} can be reached from other machines, by anybody and unencrypted; "
            "browsers there give their microphone to no such page, only files can be dropped",
            file=sys.stderr,
        )
    print(f"Watchword listens at {url}  (Ctrl-C ends it)", file=sys.stderr, flush=True)
    if browser:
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
    asyncio.run(uvicorn.Server(config).serve(sockets=[listening]))
