"""One client: its keywords, what it listens to, and the messages that go to and fro."""

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from starlette.websockets import WebSocket, WebSocketDisconnect

from watchword import __version__
from watchword.audio import AudioError
from watchword.runtime import Spotter
from watchword.serve import messages
from watchword.serve.listening import Heard, Listening, pcm_samples
from watchword.serve.messages import Message, MessageError, Wanted
from watchword.serve.speaking import pronounced
from watchword.serve.uploads import Upload

FAULT = 1011
_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)


@dataclass
class Room:
    """What the clients of one server share: the model, threads for heavy work, and how many may listen at once."""

    spotter: Spotter
    threads: Executor
    most_streams: int = 8
    most_file_bytes: int = 1_000_000_000
    busy: set[int] = field(default_factory=set)

    def enter(self, session: "Session") -> None:
        """Takes one of the places. Raises MessageError where none is free."""
        if len(self.busy) >= self.most_streams:
            raise MessageError(
                f"busy: {self.most_streams} recordings are being listened to already; try again when one has stopped"
            )
        self.busy.add(id(session))

    def leave(self, session: "Session") -> None:
        """Gives the place back, if there was one."""
        self.busy.discard(id(session))


class Session:
    """Answers one WebSocket, message by message; the next is read when one is done, so that a client that sends faster
    than its audio is searched has to wait."""

    def __init__(self, socket: WebSocket, room: Room) -> None:
        self._socket, self._room = socket, room
        self._state: Literal["idle", "live", "receiving", "searching"] = "idle"
        self._wanted: tuple[Wanted, ...] = ()
        self._listening: Listening | None = None  # the audio that is listened to, or was last
        self._upload: Upload | None = None  # the file that it is of, if it is of one
        self._search: asyncio.Task[None] | None = None
        self._strays = 0

    async def run(self) -> None:
        """Talks until the client leaves."""
        try:
            await self._hello()
            while (received := await self._socket.receive())["type"] != "websocket.disconnect":
                try:
                    if (text := received.get("text")) is not None:
                        self._strays = 0
                        await self._take(messages.parse(text, self._room.most_file_bytes))
                    else:
                        await self._take_bytes(received["bytes"])
                except (MessageError, AudioError) as error:
                    await self._send("error", message=str(error))
        except WebSocketDisconnect:
            pass  # while something was sent
        except Exception as error:
            _log.exception("a client's session")
            with contextlib.suppress(Exception):  # it may be gone
                await self._socket.close(
                    FAULT, f"{type(error).__name__} (a fault of Watchword; its terminal says more)"
                )
        finally:
            await self._end_search()
            await self._forget()

    async def _take(self, message: Message) -> None:
        match message:
            case messages.Keywords(keywords):
                await self._set_keywords(keywords)
            case messages.Pronounce(name, text):
                fields = await self._work(lambda: pronounced(self._room.spotter, text))
                await self._send("pronounced", id=name, text=text, **fields)
            case messages.Start(sample_rate):
                await self._start(sample_rate)
            case messages.File(name, size):
                await self._receive(name, size)
            case messages.Again():
                await self._again()
            case messages.Stop():
                await self._stop()
            case messages.Clip(name, start, end):
                await self._clip(name, start, end)

    async def _take_bytes(self, data: bytes) -> None:
        if self._state == "live" and self._listening is not None:
            listening, samples = self._listening, pcm_samples(data)
            await self._tell(await self._work(lambda: listening.feed(samples)))
        elif self._state == "receiving" and self._upload is not None:
            await self._receive_bytes(self._upload, data)
        else:
            # Told once, not for every frame that was on its way when something ended.
            self._strays += 1
            if self._strays == 1:
                raise MessageError("audio: came before anything was started; send a start or a file message first")

    async def _hello(self) -> None:
        bundle = self._room.spotter.bundle
        await self._send(
            "hello",
            watchword=__version__,
            bundle=bundle.name,
            threshold=bundle.threshold,
            most_keywords=messages.MAX_KEYWORDS,
            most_file_bytes=self._room.most_file_bytes,
        )

    async def _set_keywords(self, wanted: tuple[Wanted, ...]) -> None:
        spotter, listening = self._room.spotter, self._listening if self._state in ("live", "searching") else None
        usual = spotter.bundle.threshold

        def row(keyword: Wanted) -> dict[str, Any]:
            threshold = usual if keyword.threshold is None else keyword.threshold
            return {"id": keyword.id, "text": keyword.text, "threshold": threshold, **pronounced(spotter, keyword.text)}

        rows = await self._work(lambda: [row(keyword) for keyword in wanted])
        self._wanted = tuple(keyword for keyword, of in zip(wanted, rows, strict=True) if "error" not in of)
        if listening is not None:
            await self._work(lambda: listening.set_keywords(self._wanted))
        await self._send("keywords", keywords=rows)

    async def _start(self, sample_rate: int) -> None:
        self._enter("start")
        await self._forget()
        self._room.enter(self)
        self._listening = await self._work(lambda: Listening(self._room.spotter, self._wanted, sample_rate))
        self._state = "live"
        await self._send("started", source="audio", sample_rate=sample_rate, **self._listening.drawing.fields())

    async def _receive(self, name: str, size: int) -> None:
        self._enter("file")
        await self._forget()
        self._room.enter(self)
        self._upload = Upload(name, size)
        self._state = "receiving"
        await self._send("receiving", name=name, bytes=size)

    async def _receive_bytes(self, upload: Upload, data: bytes) -> None:
        try:
            await self._work(lambda: upload.write(data))
        except (MessageError, OSError) as error:
            await self._forget()
            full = f"{upload.name}: cannot be kept ({error}); free some space and send it again"
            await self._send("error", message=str(error) if isinstance(error, MessageError) else full)
            await self._send("stopped", seconds=0.0, reason="error")
        else:
            if upload.complete:
                self._begin_search(upload)

    async def _again(self) -> None:
        self._enter("again")
        if self._upload is None:
            raise MessageError("again: there is no file to search again; send one first")
        self._room.enter(self)
        self._begin_search(self._upload)

    def _begin_search(self, upload: Upload) -> None:
        self._state, upload.cancelled = "searching", False
        self._search = asyncio.create_task(self._search_file(upload))

    async def _search_file(self, upload: Upload) -> None:
        """Searches a file that has come, block by block, while the socket goes on listening."""
        seconds, reason = 0.0, "error"
        try:
            self._listening = await self._work(lambda: upload.search(self._room.spotter, self._wanted))
            drawing = self._listening.drawing.fields()
            await self._send("started", source="file", name=upload.name, seconds=upload.seconds, **drawing)
            while not upload.cancelled and (heard := await self._work(upload.next)) is not None:
                await self._tell(heard)
                seconds = heard.seconds
            reason = "stopped" if upload.cancelled else "ended"
        except (MessageError, AudioError) as error:
            await self._send("error", message=str(error))
        except WebSocketDisconnect:
            return
        except Exception:
            _log.exception("a file's search")
            await self._send("error", message=f"{upload.name}: a fault of Watchword; its terminal says more")
        self._state = "idle"
        self._room.leave(self)
        await self._send("stopped", seconds=round(seconds, 3), reason=reason)

    async def _stop(self) -> None:
        if self._state == "searching":
            await self._end_search()
        elif self._state == "receiving":
            await self._forget()
            await self._send("stopped", seconds=0.0, reason="stopped")
        elif self._state == "live" and self._listening is not None:
            heard = await self._work(self._listening.flush)
            self._state = "idle"
            self._room.leave(self)
            await self._tell(heard)
            await self._send("stopped", seconds=round(heard.seconds, 3), reason="ended")
        # Nothing to stop: it ended by itself while the message was on its way.

    async def _clip(self, name: str, start: float, end: float) -> None:
        if self._listening is None:
            raise MessageError("clip: there is no audio; start some first")
        source = self._upload.clip if self._upload is not None else self._listening.clip
        wave = await self._work(lambda: source(start, end))
        await self._send("clip", id=name, start=start, end=end, bytes=len(wave))
        await self._socket.send_bytes(wave)

    def _enter(self, what: str) -> None:
        """Raises MessageError while something is under way."""
        if self._state != "idle":
            raise MessageError(f"{what}: something is being listened to already; send stop first")

    async def _tell(self, heard: Heard) -> None:
        """Sends what a piece of audio gave: what to draw, then the detections."""
        await self._send("heard", **heard.drawn())
        for row in heard.detections:
            await self._send("detection", **row)

    async def _send(self, kind: str, **fields: Any) -> None:
        text = json.dumps({"type": kind, **fields}, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        await self._socket.send_text(text)

    async def _work(self, call: Callable[[], _Result]) -> _Result:
        """Does what takes time in a thread, so that other clients are answered meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(self._room.threads, call)

    async def _end_search(self) -> None:
        """Stops the search of a file, if there is one, after the block that it is at."""
        if self._search is not None and self._upload is not None:
            self._upload.cancelled = True
            await asyncio.wait([self._search])

    async def _forget(self) -> None:
        """Lets go of what was listened to."""
        self._state, self._listening = "idle", None
        self._room.leave(self)
        if (upload := self._upload) is not None:
            self._upload = None
            await self._work(upload.close)
