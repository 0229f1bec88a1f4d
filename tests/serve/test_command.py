"""The command `watchword serve`: what it refuses, what it warns of, and how it ends; and whom the server lets in."""

import http.client
import signal
import socket
import subprocess
import sys

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.serve.conftest import running
from watchword.cli import main


def test_port_in_use_is_told(capsys, local_bundle):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--no-browser", "--bundle", str(local_bundle.path), "--port", str(port)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"port {port}" in line
    assert f"--port {port + 1}" in line


@pytest.mark.parametrize("host", ["203.0.113.1", "no such name"])
def test_foreign_address_is_told(capsys, local_bundle, host):
    assert main(["serve", "--no-browser", "--bundle", str(local_bundle.path), "--host", host, "--port", "0"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--host 127.0.0.1" in line


def test_broken_bundle_is_told(capsys, tmp_path):
    assert main(["serve", "--no-browser", "--bundle", str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_missing_packages_are_told():
    program = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name == "uvicorn":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from watchword.cli import main
sys.exit(main(["serve", "--no-browser"]))
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.strip().endswith('uvicorn is not installed; run pip install "watchword[serve]"')


def test_interrupting_ends_it_at_once_and_quietly(local_bundle):
    with running("--bundle", str(local_bundle.path)) as server:
        with server.client() as client:
            client.send("start", sample_rate=16000)
            client.until("started")
            server.process.send_signal(signal.SIGINT)
            _, err = server.process.communicate(timeout=30)
        assert server.process.returncode == 130
        assert err == ""


def test_other_machines_are_let_in_only_with_a_warning(local_bundle):
    command = [sys.executable, "-m", "watchword", "serve", "--no-browser", "--port", "0", "--host", "0.0.0.0"]
    process = subprocess.Popen([*command, "--bundle", str(local_bundle.path)], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    warning, address = process.stderr.readline(), process.stderr.readline()
    process.terminate()
    process.communicate()
    assert "reached from other machines" in warning
    assert "http://127.0.0.1:" in address


def asked(server, path="/", **headers):
    """The answer to a request: its status, headers and body."""
    _, _, where = server.url.rstrip("/").partition("//")
    connection = http.client.HTTPConnection(where, timeout=60)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers, body


def test_page_and_its_parts_are_served_with_a_strict_policy(server):
    for path, kind in (("/", "text/html"), ("/static/app.js", "javascript"), ("/static/style.css", "text/css")):
        status, headers, body = asked(server, path)
        assert status == 200
        assert kind in headers["content-type"]
        assert body
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/static/../session.py", "/static/..%2fsession.py", "/other", "/static/"])
def test_nothing_else_is_served(server, path):
    assert asked(server, path)[0] == 404


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "10.0.0.1", ""])
def test_foreign_names_are_refused(server, host):
    """A page elsewhere that has its own name point here (DNS rebinding) reads nothing."""
    assert asked(server, Host=host)[0] in (400, 403)


@pytest.mark.parametrize("origin", ["http://evil.example", "https://127.0.0.1", "null"])
def test_sockets_of_foreign_pages_are_refused(server, origin):
    with pytest.raises(InvalidStatus) as refused, connect(server.socket_url, origin=origin):
        pass
    assert refused.value.response.status_code == 403


def test_sockets_of_the_own_page_are_taken(server):
    with server.client(origin=server.url.rstrip("/")) as client:
        assert client.seen[0]["type"] == "hello"
