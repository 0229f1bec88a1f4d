"""The web application: the page's files, and the WebSocket beside them."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from watchword.runtime import Spotter
from watchword.serve.security import OwnPagesOnly
from watchword.serve.session import Room, Session

STATIC = Path(__file__).parent / "static"
MOST_SOCKETS = 64
TRY_AGAIN_LATER = 1013


def create_app(spotter: Spotter, host: str, most_streams: int = 8) -> Starlette:
    """The application for a server that listens on `host`; `spotter` gives the model, its keywords are not used."""
    threads = ThreadPoolExecutor(max_workers=max(2, os.cpu_count() or 1), thread_name_prefix="listen")
    room = Room(spotter, threads, most_streams)
    sockets = 0

    async def page(request: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    async def listen(socket: WebSocket) -> None:
        nonlocal sockets
        await socket.accept()
        if sockets >= MOST_SOCKETS:
            await socket.close(TRY_AGAIN_LATER, f"busy: {MOST_SOCKETS} clients are here already; try again later")
            return
        sockets += 1
        try:
            await Session(socket, room).run()
        finally:
            sockets -= 1

    routes = [
        Route("/", page),
        WebSocketRoute("/listen", listen),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    return Starlette(routes=routes, middleware=[Middleware(OwnPagesOnly, host=host)])
