"""A real server in a process of its own, and clients that talk to it."""

import base64
import json
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from websockets.sync.client import connect

ROOT = Path(__file__).resolve().parents[2]
KITCHEN = ROOT / "examples" / "kitchen.flac"
PATIENCE_SECONDS = 60


class Client:
    """One client of the protocol: sends messages, and keeps what comes until it is asked for."""

    def __init__(self, socket):
        self.socket = socket
        self.seen = []

    def send(self, kind, **fields):
        self.socket.send(json.dumps({"type": kind, **fields}))

    def next(self):
        got = self.socket.recv(timeout=PATIENCE_SECONDS)
        message = json.loads(got) if isinstance(got, str) else {"type": "bytes", "data": got}
        self.seen.append(message)
        return message

    def until(self, *kinds):
        """The next message of one of these types."""
        while True:
            message = self.next()
            if message["type"] in kinds:
                return message

    def listen_for(self, *texts, **fields):
        keywords = [{"id": text, "text": text, **fields} for text in texts]
        self.send("keywords", keywords=keywords)
        return self.until("keywords")["keywords"]

    def hear(self, pieces, sample_rate=16000):
        """Streams pieces of int16 samples to the end; the detections."""
        self.send("start", sample_rate=sample_rate)
        assert self.until("started", "error")["type"] == "started"
        for piece in pieces:
            self.socket.send(piece.astype("<i2").tobytes())
        self.send("stop")
        return self.detections()

    def search(self, path, piece=100_000):
        """Sends a file; the detections."""
        data = Path(path).read_bytes()
        self.send("file", name=Path(path).name, bytes=len(data))
        assert self.until("receiving", "error")["type"] == "receiving"
        for start in range(0, len(data), piece):
            self.socket.send(data[start : start + piece])
        return self.detections()

    def detections(self):
        """Those until the audio stops."""
        found = []
        while (message := self.until("detection", "stopped", "error"))["type"] == "detection":
            found.append(message)
        assert message["type"] == "stopped", message
        return found


class Server:
    """A running server."""

    def __init__(self, url, process):
        self.url, self.process = url, process
        self.socket_url = url.replace("http", "ws") + "listen"

    @contextmanager
    def client(self, **options):
        with connect(self.socket_url, **options) as socket:
            client = Client(socket)
            assert client.next()["type"] == "hello"
            yield client


@contextmanager
def running(*arguments):
    """A server for a while; `process.stderr` goes on with what it says after its address."""
    command = [sys.executable, "-m", "watchword", "serve", "--no-browser", "--port", "0", *arguments]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        said = ""
        while not (address := re.search(r"http://\S+/", said)):
            line = process.stderr.readline()
            assert line, f"the server ended before it listened: {said}"
            said += line
        yield Server(address[0], process)
    finally:
        process.terminate()
        _, faults = process.communicate()
        print(faults, end="")  # pytest shows it where a test failed


@pytest.fixture(scope="session")
def server(local_bundle):
    """A server with a small model of random weights, for three recordings at once: it finds what a scan finds."""
    with running("--streams", "3", "--bundle", str(local_bundle.path)) as started:
        yield started


@pytest.fixture(scope="session")
def real_server():
    """A server with the package's own model, which finds what is said."""
    with running() as started:
        yield started


@pytest.fixture
def client(server):
    """A client of it."""
    with server.client() as one:
        yield one


@pytest.fixture(scope="session")
def spoken(tmp_path_factory):
    """What the fake microphone hears: the last sentence of kitchen.flac, as WAV, and the time that it is cut at."""
    import soundfile

    cut_seconds = 7.0
    samples, rate = soundfile.read(KITCHEN, dtype="int16")
    path = tmp_path_factory.mktemp("microphone") / "spoken.wav"
    soundfile.write(path, samples[round(cut_seconds * rate) :], rate, subtype="PCM_16")
    return path, cut_seconds


@pytest.fixture(scope="session")
def open_browser(tmp_path_factory, spoken):
    """Opens headless Chromium; `microphone` is "file" (a fake one, allowed), or "none"."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("Debian's packages chromium and chromium-driver are not installed")
    webdriver = pytest.importorskip("selenium.webdriver")

    @contextmanager
    def opened(microphone="file"):
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        flags = [
            "headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
            "disable-component-update", "disable-sync", "disable-dev-shm-usage",
            "autoplay-policy=no-user-gesture-required", f"user-data-dir={tmp_path_factory.mktemp('profile')}",
        ]  # fmt: skip
        if microphone == "file":
            flags += [
                "use-fake-device-for-media-stream",
                "use-fake-ui-for-media-stream",
                f"use-file-for-fake-audio-capture={spoken[0]}%noloop",
            ]
        for flag in flags:
            options.add_argument(f"--{flag}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        browser = webdriver.Chrome(options, webdriver.ChromeService(driver))
        try:
            yield Page(browser)
        finally:
            browser.quit()

    return opened


class Page:
    """The page in a browser, as a person uses it."""

    def __init__(self, browser):
        self.browser = browser

    def open(self, url, width=1280, height=900, dark=False, still=False):
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        features = [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce" if still else "no-preference"},
        ]
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        self.browser.get(url)
        self.wait(lambda: self.find("#connection").get_attribute("data-state") == "open", "the connection")

    def find(self, selector):
        return self.browser.find_element("css selector", selector)

    def all(self, selector):
        return self.browser.find_elements("css selector", selector)

    def text(self, selector):
        return self.find(selector).text

    def script(self, code, *arguments):
        return self.browser.execute_script(code, *arguments)

    def focused(self):
        """The id of what has the focus, else its class."""
        return self.script("const e = document.activeElement; return e.id || e.className || e.type || e.tagName")

    def press(self, *keys):
        from selenium.webdriver import ActionChains

        ActionChains(self.browser).send_keys(*keys).perform()

    def back(self, times):
        """Shift and Tab."""
        from selenium.webdriver import ActionChains
        from selenium.webdriver.common.keys import Keys

        ActionChains(self.browser).key_down(Keys.SHIFT).send_keys(Keys.TAB * times).key_up(Keys.SHIFT).perform()

    def wait(self, condition, what, seconds=PATIENCE_SECONDS):
        from selenium.common.exceptions import StaleElementReferenceException

        def now():
            try:
                return condition()
            except StaleElementReferenceException:  # the page has just drawn it anew
                return None

        end = time.monotonic() + seconds
        while not (result := now()):
            assert time.monotonic() < end, f"waited for {what}; the page says {self.text('body')!r}"
            time.sleep(0.05)
        return result

    def add(self, text):
        from selenium.webdriver.common.keys import Keys

        before = len(self.all(".keyword"))
        self.find("#new-keyword").send_keys(text, Keys.ENTER)
        self.wait(lambda: len(self.all(".keyword")) > before, f"{text} among the keywords")
        self.wait(lambda: self.all(".keyword")[-1].find_element("css selector", ".said").text, f"how {text} is said")

    def drop(self, name, data):
        """Drops a file on the page."""
        self.script(
            """const bytes = Uint8Array.from(atob(arguments[1]), (c) => c.charCodeAt(0));
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([bytes], arguments[0]));
            for (const type of ["dragenter", "dragover", "drop"])
              document.body.dispatchEvent(new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer }));""",
            name,
            base64.b64encode(data).decode(),
        )

    def found(self):
        """The detections as (name, seconds, score)."""
        rows = self.script(
            """return [...document.querySelectorAll("#detections li")].map((row) =>
                 [".what", ".when", ".score"].map((part) => row.querySelector(part).innerText.trim()));"""
        )
        return [
            (name, 60 * float(when.split(":")[0]) + float(when.split(":")[1]), float(score))
            for name, when, score in rows
        ]

    def complaints(self):
        """What the console holds since it was last asked."""
        return [
            entry["message"] for entry in self.browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")
        ]

    def requests(self):
        """The addresses asked for since this was last asked."""
        events = [json.loads(entry["message"])["message"] for entry in self.browser.get_log("performance")]
        return [
            event["params"]["request"]["url"] if "request" in event["params"] else event["params"]["url"]
            for event in events
            if event["method"] in ("Network.requestWillBeSent", "Network.webSocketCreated")
        ]
