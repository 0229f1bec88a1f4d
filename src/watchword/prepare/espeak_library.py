"""eSpeak NG as the shared library that the pip package espeakng-loader carries, run as a program of its own.

    python espeak_library.py LIBRARY DATA VOICE PITCH RATE < text > samples

A process for each text, since the library's state runs on from one text to the next: the same voice would speak
the same text differently. It writes the sample rate as four bytes, then 16-bit samples, and ends with 3 where it
cannot speak. Nothing but the standard library is imported: it starts in a hundredth of a second."""

import ctypes
import sys

_SYNCHRONOUS, _DONT_EXIT = 2, 0x8000
_RATE, _PITCH = 1, 3
_UTF8, _END_PAUSE = 1, 0x1000
_BY_CHARACTER = 1
CANNOT_SPEAK = 3


def speak(library_path: str, data_folder: str, voice: str, pitch: int, rate: int, text: bytes) -> tuple[int, bytes]:
    """Speaks UTF-8 text at a pitch of 0 to 100 and a rate in words a minute; returns the rate and 16-bit samples,
    none where it fails. Once a process. `data_folder` is the one that holds the folder espeak-ng-data."""
    library = ctypes.CDLL(library_path)
    # void *text, size_t size, position, its type, end, flags, unsigned *identifier, void *user_data
    library.espeak_Synth.argtypes = (
        ctypes.c_char_p, ctypes.c_size_t, *[ctypes.c_uint] * 4, ctypes.POINTER(ctypes.c_uint), ctypes.c_void_p
    )  # fmt: skip
    pieces: list[bytes] = []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
    def take(samples: int | None, count: int, events: int | None) -> int:
        if samples and count > 0:
            pieces.append(ctypes.string_at(samples, 2 * count))
        return 0

    sample_rate = library.espeak_Initialize(_SYNCHRONOUS, 0, data_folder.encode(), _DONT_EXIT)
    # This version of the data calls British English "en".
    names = (voice, voice.replace("en-gb", "en", 1))
    if sample_rate <= 0 or all(library.espeak_SetVoiceByName(name.encode()) for name in names):
        return 0, b""
    library.espeak_SetSynthCallback(take)
    for parameter, value in ((_RATE, rate), (_PITCH, pitch)):
        library.espeak_SetParameter(parameter, value, 0)
    said = text + b"\0"
    library.espeak_Synth(said, len(said), 0, _BY_CHARACTER, 0, _UTF8 | _END_PAUSE, None, None)
    return sample_rate, b"".join(pieces)


if __name__ == "__main__":
    where, data, name, height, speed = sys.argv[1:]
    found, spoken = speak(where, data, name, int(height), int(speed), sys.stdin.buffer.read())
    if not spoken:
        sys.exit(CANNOT_SPEAK)
    sys.stdout.buffer.write(found.to_bytes(4, "little") + spoken)
