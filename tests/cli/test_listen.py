"""`watchword listen`: standard input for real, sources that are lost and found, and what is done at a detection."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from watchword import Keyword, Spotter
from watchword.cli.listen import hear
from watchword.cli.reactions import Clips, Command, ReactionError
from watchword.cli.sources import SourceError, SourceLost, kept_open
from watchword.runtime import Detection

KITCHEN = Path(__file__).resolve().parents[2] / "examples" / "kitchen.flac"
COMMAND = [sys.executable, "-m", "watchword", "listen"]


@pytest.fixture(scope="module")
def kitchen():
    return soundfile.read(KITCHEN, dtype="int16")[0]


@pytest.fixture(scope="module")
def scanned(local_bundle):
    """What a scan finds of "front door", whatever it scores."""
    hits = Spotter([Keyword("front door", -1.0)], local_bundle).scan(KITCHEN)
    assert len(hits) > 1
    return hits


def listen(bundle, *arguments, sound=b""):
    """Runs the command with sound on standard input: its exit status, the rows it prints, and standard error."""
    command = [*COMMAND, "front door", "-", "--threshold", "-1", "--bundle", str(bundle.path), *arguments]
    ended = subprocess.run(command, input=sound, capture_output=True, check=False)
    return ended.returncode, [json.loads(line) for line in ended.stdout.splitlines()], ended.stderr.decode()


def wav(samples, rate, tmp_path, **options):
    path = tmp_path / "piped.wav"
    soundfile.write(path, samples, rate, **options)
    return path.read_bytes()


@pytest.mark.parametrize("kind", ["raw", "wav", "stereo"])
def test_standard_input_gives_what_a_scan_gives(local_bundle, kitchen, scanned, tmp_path, kind):
    if kind == "raw":
        sound = kitchen.astype("<i2").tobytes()
    else:
        samples = kitchen if kind == "wav" else np.stack([kitchen, kitchen], axis=1)
        sound = wav(samples, 16000, tmp_path, subtype="PCM_16")
    status, rows, err = listen(local_bundle, "--rate", "16000" if kind == "raw" else "8000", sound=sound)
    assert (status, err) == (0, "")
    for part in ("start", "end"):
        expected = [getattr(hit, f"{part}_seconds") for hit in scanned]
        assert [row[part] for row in rows] == pytest.approx(expected, abs=0.001)
    assert [row["score"] for row in rows] == pytest.approx([hit.score for hit in scanned], abs=1e-4)


def test_nothing_found_is_status_1(local_bundle):
    status, rows, _ = listen(local_bundle, "--threshold", "1", sound=b"\0" * 32000)
    assert (status, rows) == (1, [])


BAD = {
    "nothing": (b"", "no audio"),
    "FLAC": (b"fLaC" + b"\0" * 50, "FLAC"),
    "float WAV": (None, "16-bit"),
    "torn WAV": (b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0", "WAV"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_sound_is_told(local_bundle, tmp_path, name):
    sound, part = BAD[name]
    if sound is None:
        sound = wav(np.zeros(1600, np.float32), 16000, tmp_path, subtype="FLOAT")
    status, rows, err = listen(local_bundle, sound=sound)
    assert (status, rows) == (2, [])
    assert part in err
    assert len(err.splitlines()) == 1


def test_clips_are_saved(local_bundle, kitchen, scanned, tmp_path):
    folder = tmp_path / "new" / "clips"
    _, rows, _ = listen(local_bundle, "--save-clips", str(folder), sound=kitchen.astype("<i2").tobytes())
    assert len(list(folder.iterdir())) == len(scanned) == len({row["clip"] for row in rows})
    hit = scanned[0]
    first, last = (max(0, round(seconds * 16000)) for seconds in (hit.start_seconds - 0.3, hit.end_seconds + 0.3))
    samples, rate = soundfile.read(rows[0]["clip"], dtype="int16")
    assert rate == 16000
    there = kitchen[first : first + len(samples)]
    assert 0 < len(samples) <= last - first + 1
    assert np.abs(samples.astype(int) - there).max() <= 1


def test_command_is_run_with_what_was_heard(local_bundle, kitchen, scanned, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import os, sys\n"
        f"with open({str(tmp_path / 'heard')!r}, 'a') as file:\n"
        "    print(*sys.argv[1:], os.environ['WATCHWORD_SCORE'], sep='|', file=file)\n"
        "print('said by the command')\n"
    )
    line = f"{sys.executable} {program} '{{keyword}}; $(touch {tmp_path}/oops)' {{start}}"
    _, rows, err = listen(local_bundle, "--exec", line, sound=kitchen.astype("<i2").tobytes())
    heard = (tmp_path / "heard").read_text().splitlines()
    said = [f"front door; $(touch {tmp_path}/oops)|{row['start']:.3f}|{row['score']:.3f}" for row in rows]
    assert set(heard) <= set(said)
    # Those that came while four others ran were left out, and told.
    assert len(heard) + err.count("none was run") == len(scanned)
    assert not (tmp_path / "oops").exists()
    assert "said by the command" in err


HIT = Detection("front door", 0.5, 1.0, 1.5, 0.4)


def test_shell_runs_only_where_asked(tmp_path):
    said = []
    run = Command(f"echo $WATCHWORD_KEYWORD > {tmp_path}/heard", True, said.append)
    run(HIT, None)
    run.finish()
    assert (tmp_path / "heard").read_text() == "front door\n"
    assert said == []


def test_commands_at_once_are_bounded():
    said = []
    run = Command(f"{sys.executable} -c 'import time; time.sleep(0.5)'", False, said.append, most=2)
    for _ in range(3):
        run(HIT, None)
    run.finish()
    assert said == ["listen: 2 commands are still running; none was run for 'front door'"]


def test_failed_command_is_told():
    said = []
    run = Command("false", False, said.append)
    run(HIT, None)
    run.finish()
    assert said == ["listen: false ended with status 1"]


@pytest.mark.parametrize(
    ("line", "shell", "part"),
    [
        ("", False, "empty"),
        ("'", False, "command line"),
        ("no-such-program", False, "--shell"),
        ("x {start}", True, "$"),
    ],
)
def test_what_cannot_be_run_is_refused(line, shell, part):
    with pytest.raises(ReactionError, match=re.escape(part)):
        Command(line, shell, print)


def test_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ReactionError, match="name a folder"):
        Clips(tmp_path / "file")


class Unsteady:
    """A source that gives some blocks and is then lost, or ends."""

    sample_rate = 16000

    def __init__(self, name, blocks, lost):
        self.name, self._blocks, self._lost, self.closed = name, blocks, lost, False

    def blocks(self):
        yield from self._blocks
        if self._lost:
            raise SourceLost(self.name)

    def close(self):
        self.closed = True


class Listener:
    """Keeps what a screen is told."""

    def __init__(self):
        self.begun, self.seconds = [], []

    def begin(self, source):
        self.begun.append(source)

    def hear(self, samples, seconds, levels):
        self.seconds.append(seconds)
        assert set(levels) == {"front door"}

    def found(self, hit, clip):
        pass

    def say(self, sentence):
        pass


def test_source_that_is_lost_is_opened_again(local_bundle, kitchen, scanned):
    """What is heard after the loss is that of a new recording, some time later; waits grow between attempts."""
    blocks = np.array_split(kitchen, 50)
    first, second = Unsteady("desk", blocks[:10], lost=True), Unsteady("head", blocks, lost=False)
    answers = iter([first, SourceError("not yet"), SourceError("not yet"), second])
    asked, said, waits = [], [], []

    def opened(again):
        asked.append(again)
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    screen = Listener()
    spotter = Spotter([Keyword("front door", -1.0)], local_bundle)
    found = list(hear(spotter, kept_open(opened, said.append, waits.append), screen))
    assert asked == [False, True, True, True]
    assert waits == [0.5, 1.0, 2.0]
    assert first.closed
    assert second.closed
    assert [sentence.split(";")[0] for sentence in said] == ["listen: desk is gone", "listen: head is back"]
    assert screen.begun == ["desk", "head"]
    assert len(screen.seconds) == 60
    late = [hit for hit, _ in found][-len(scanned) :]
    shifts = [hit.end_seconds - expected.end_seconds for hit, expected in zip(late, scanned, strict=True)]
    assert min(shifts) > 0
    assert max(shifts) == pytest.approx(min(shifts))
    assert [hit.score for hit in late] == pytest.approx([hit.score for hit in scanned], abs=1e-4)


def test_source_that_never_opens_is_an_error():
    def opened(again):
        raise SourceError("listen: no microphone was found")

    with pytest.raises(SourceError, match="no microphone"):
        next(kept_open(opened, print))


def test_microphone_that_is_not_there_is_told(local_bundle):
    """Without a sound card, and perhaps without PortAudio, one sentence says what to do."""
    listed = subprocess.run([*COMMAND, "--list-devices"], capture_output=True, text=True, check=False)
    if listed.returncode == 0 and "no microphone" not in listed.stdout:
        pytest.skip("this machine has a microphone")
    ended = subprocess.run(
        [*COMMAND, "front door", "--bundle", str(local_bundle.path)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert "PortAudio is not installed" in line or "no microphone was found" in line


def test_microphone_through_portaudio(kitchen, tmp_path):
    """A real PortAudio stream, from an ALSA device that plays a file; Ctrl-C ends it without a word.

    The device has no clock: on a busy machine some of the sound may be lost, so the recording comes many times over."""
    rate = 44100
    sound = tmp_path / "spoken.raw"
    once = soxr.resample(kitchen.astype(np.float32), 16000, rate).round().astype("<i2").tobytes()
    sound.write_bytes(once * 20)
    (tmp_path / ".asoundrc").write_text(
        'pcm.spoken { type file slave.pcm "null" file "/dev/null" format "raw" hint { show on description "spoken" }\n'
        f'infile "{sound}" }}\n'
    )
    environment = os.environ | {"HOME": str(tmp_path)}
    listed = subprocess.run([*COMMAND, "--list-devices"], env=environment, capture_output=True, text=True, check=False)
    if "spoken" not in listed.stdout:
        pytest.skip("PortAudio with ALSA (Debian's libportaudio2) is not installed")
    process = subprocess.Popen(
        [*COMMAND, "front door", "--device", "spoken"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    too_long = threading.Timer(90, process.kill)
    too_long.start()
    try:
        row = json.loads(process.stdout.readline())
        assert row["keyword"] == "front door"
        assert row["end"] - row["start"] == pytest.approx(0.69, abs=0.2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        too_long.cancel()
        process.kill()
    assert process.returncode == 130
    assert err.startswith("listen: hears spoken")
    assert "Traceback" not in err


def test_no_keyword_is_told(refused):
    refused("listen", "-", parts=["no keyword", "hey nova"])


def test_live_view_on_a_terminal(local_bundle, kitchen, tmp_path):
    """The view is drawn on a real terminal, and what was found stays there when it ends."""
    sound = tmp_path / "sound.raw"
    sound.write_bytes(kitchen.astype("<i2").tobytes())
    ours, theirs = pty.openpty()
    command = [*COMMAND, "front door", "-", "--threshold", "-1", "--bundle", str(local_bundle.path)]
    with sound.open("rb") as file:
        process = subprocess.Popen(
            command,
            stdin=file,
            stdout=theirs,
            stderr=theirs,
            env=os.environ | {"TERM": "xterm-256color", "COLUMNS": "100"},
        )
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # closed by the other side
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    assert process.wait() == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode()).replace("\r", "\n")
    assert "Ctrl-C ends" in text
    assert "dB" in text
    assert re.search(r"^ +\d+\.\d\d +\d+\.\d\d +-?\d\.\d\d  front door", text, re.MULTILINE)
    assert "{" not in text
