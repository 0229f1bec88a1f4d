"""Known corpora: what each is, under which licence and where it is had, and the layout that is expected of it."""

from dataclasses import dataclass
from pathlib import Path

from watchword.data.segment import SegmentError


@dataclass(frozen=True)
class Corpus:
    """A corpus that others give out; `licence` goes into manifests, `layout` is what its folder must hold."""

    name: str
    title: str
    licence: str
    where: str
    layout: str

    def unlike(self, place: Path, why: str) -> SegmentError:
        """The error for a folder that is missing, or not this corpus: what is wrong, what is expected, where it is."""
        return SegmentError(
            f"{place}: {why}; expected is {self.layout}, as {self.title} has it, from {self.where} ({self.licence})"
        )

    def folder(self, place: Path) -> Path:
        """Returns the absolute path of the corpus's folder, or raises where it is none, or empty."""
        place = Path(place).absolute()
        if not place.is_dir():
            raise self.unlike(place, "is a file, not a folder" if place.exists() else "no such folder")
        if not any(place.iterdir()):
            raise self.unlike(place, "is empty")
        return place


LIBRISPEECH = Corpus(
    "librispeech",
    "LibriSpeech (OpenSLR 12)",
    "CC BY 4.0",
    "https://www.openslr.org/12",
    "SPEAKERS.TXT and SUBSET/SPEAKER/CHAPTER/*.trans.txt with *.flac beside",
)
KING_ASR_066 = Corpus(
    "king_asr_066",
    "King-ASR-066 (American English, DataOceanAI, formerly Speechocean)",
    "commercial licence of DataOceanAI",
    "https://en.speechocean.com",
    "DATA/CHANNEL*/SCRIPT/*.TXT and DATA/CHANNEL*/WAVE/SPEAKER*/SESSION*/*.WAV",
)
WSJ = Corpus(
    "wsj",
    "the Wall Street Journal corpus (CSR-I LDC93S6A, CSR-II LDC94S13A)",
    "LDC User Agreement",
    "https://catalog.ldc.upenn.edu/LDC93S6A and https://catalog.ldc.upenn.edu/LDC94S13A",
    "wsj0/ or wsj1/, on discs or not, with *.wv1 below si_tr_s, si_dt_20 … and *.dot or *.lsn below transcrp or trans",
)
LIBRIPHRASE = Corpus(
    "libriphrase",
    "LibriPhrase (lists over LibriSpeech's train-other-500)",
    "lists MIT, speech CC BY 4.0",
    "https://github.com/gusrud1103/LibriPhrase",
    "the released libriphrase_diffspk_all_1word.csv to _4word.csv",
)
SPEECH_COMMANDS = Corpus(
    "speech_commands",
    "Speech Commands v1 or v2",
    "CC BY 4.0",
    "http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
    "WORD/SPEAKER_nohash_N.wav with testing_list.txt and validation_list.txt, or the test set with _unknown_",
)
QUALCOMM = Corpus(
    "qualcomm",
    "the Qualcomm keyword speech dataset",
    "research only, Qualcomm's own licence",
    "https://www.qualcomm.com/developer/software/keyword-speech-dataset",
    "hey_android, hey_snapdragon, hi_galaxy and hi_lumina, each with SPEAKER/*.wav",
)
MUSAN = Corpus(
    "musan",
    "MUSAN (OpenSLR 17)",
    "CC BY 4.0",
    "https://www.openslr.org/17",
    "music/, noise/ and speech/, each with SOURCE/*.wav",
)
RIRS_NOISES = Corpus(
    "rirs_noises",
    "RIRS_NOISES (OpenSLR 28)",
    "Apache-2.0",
    "https://www.openslr.org/28",
    "simulated_rirs/smallroom, mediumroom and largeroom, each with ROOM/*.wav",
)
CORPORA = (LIBRISPEECH, KING_ASR_066, WSJ, LIBRIPHRASE, SPEECH_COMMANDS, QUALCOMM, MUSAN, RIRS_NOISES)
