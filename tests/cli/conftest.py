"""Running commands within the tests' own process."""

import numpy as np
import pytest

from watchword import audio
from watchword.cli import main


@pytest.fixture
def run(capsys, monkeypatch):
    """Runs a command line: its exit status, standard output and standard error."""
    monkeypatch.delenv("WATCHWORD_DEBUG", raising=False)

    def call(*arguments):
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        shown = capsys.readouterr()
        return status, shown.out, shown.err

    return call


@pytest.fixture
def refused(run):
    """Checks that a command line ends with exit status 2 and one sentence that holds `parts`."""

    def call(*arguments, parts=()):
        status, _, err = run(*arguments)
        assert status == 2
        assert len(err.strip().splitlines()) == 1, err
        assert "Traceback" not in err
        assert "fault of Watchword" not in err
        for part in parts:
            assert part in err, err

    return call


@pytest.fixture(scope="session")
def recordings(tmp_path_factory):
    """A folder of three recordings, 2 s of noise each, one of them a folder deeper; and a text."""
    folder = tmp_path_factory.mktemp("recordings")
    (folder / "deeper").mkdir()
    rng = np.random.default_rng(0)
    for name in ("b.wav", "a.flac", "deeper/c.ogg"):
        import soundfile

        soundfile.write(folder / name, 0.1 * rng.standard_normal(2 * audio.SAMPLE_RATE), audio.SAMPLE_RATE)
    (folder / "notes.txt").write_text("no audio")
    return folder
