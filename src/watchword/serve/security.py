"""Who may talk to the server: only pages that it served itself, under a name that is really its own."""

import ipaddress
import re
import socket
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src blob:; "
    "connect-src 'self' ws://{host}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",
}
_LOCAL_NAMES = frozenset({"localhost"})
_HOST = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([\w.-]+))(?::\d+)?")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a host.

    >>> is_loopback("localhost"), is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    if host.lower() in _LOCAL_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def allowed_host(header: str, own_names: Iterable[str]) -> bool:
    """Whether a Host header names this machine itself: by address, as localhost, or by a name of its own.

    A foreign page that has its own name point here (DNS rebinding) comes with that name, and is refused.

    >>> [allowed_host(host, ["box"]) for host in ("127.0.0.1:8765", "[::1]:1", "box:1", "evil.example:8765")]
    [True, True, True, False]
    """
    name = _name(header).lower()
    if name in _LOCAL_NAMES or name in {own.lower() for own in own_names}:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _name(header: str) -> str:
    """The name in a Host header, without its port; empty where it is none."""
    match = _HOST.fullmatch(header)
    return (match[1] or match[2]) if match else ""


class OwnPagesOnly:
    """Refuses requests under foreign names and WebSockets from foreign pages; adds the security headers.

    `loopback` is whether the server listens there only: then only the machine's own loopback names are taken."""

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app = app
        self._loopback = is_loopback(host)
        self._own_names = () if self._loopback else (host, socket.gethostname(), f"{socket.gethostname()}.local")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        allowed = allowed_host(host, self._own_names) and (not self._loopback or is_loopback(_name(host)))
        if not allowed or (origin is not None and origin != f"http://{host}"):
            await _refuse(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                response = MutableHeaders(scope=message)
                response["content-security-policy"] = _POLICY.format(host=host)
                for name, value in _HEADERS.items():
                    response[name] = value
            await send(message)

        await self._app(scope, receive, with_headers)


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        # Closed before it was accepted: the client gets status 403.
        await send({"type": "websocket.close", "code": 1008})
        return
    sentence = "serve: refused, since this server answers only under its own address\n"
    await PlainTextResponse(sentence, status_code=403)(scope, receive, send)
