"""docs/serve.md: its client runs and finds what is said, and it names every message."""

import re
import subprocess
import sys

import soundfile

from tests.serve.conftest import KITCHEN, ROOT
from watchword.serve import messages

DOCUMENT = (ROOT / "docs" / "serve.md").read_text(encoding="utf-8")


def test_client_of_the_document_finds_the_phrase(real_server, tmp_path):
    (program,) = re.findall(r"^```python\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    samples, rate = soundfile.read(KITCHEN, dtype="int16")
    soundfile.write(tmp_path / "recording.wav", samples, rate, subtype="PCM_16")
    program = program.replace("ws://127.0.0.1:8765/listen", real_server.socket_url)
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert ended.returncode == 0, ended.stderr
    (found,) = ended.stdout.splitlines()
    assert "'id': 'door'" in found
    assert "'start': 8.2" in found


def test_every_message_of_a_client_is_documented():
    for kind in messages.KINDS:
        assert f'{{"type": "{kind}"' in DOCUMENT, kind


def test_every_message_of_the_server_is_documented():
    session = (ROOT / "src" / "watchword" / "serve" / "session.py").read_text(encoding="utf-8")
    sent = set(re.findall(r'_send\(\s*"(\w+)"', session))
    assert len(sent) > 8
    for kind in sent:
        assert f"| `{kind}` |" in DOCUMENT or f'"type": "{kind}"' in DOCUMENT, kind
