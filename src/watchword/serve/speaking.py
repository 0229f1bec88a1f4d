"""How a keyword will be listened for: its pronunciations for people to see and correct, or why it has none."""

from typing import Any

from watchword.runtime import Spotter
from watchword.text.phonemes import PhonemeError, to_ipa
from watchword.text.pronounce import Spoken, TextError

FEW_PHONEMES = 4


def pronounced(spotter: Spotter, text: str) -> dict[str, Any]:
    """The fields of a `pronounced` message: `pronunciations` and `words`, perhaps `advice`; or `error` alone."""
    pronouncer = spotter.encoder.pronouncer
    try:
        variants = pronouncer.variants(text)
        words = pronouncer.alternatives(text)
    except (TextError, PhonemeError) as error:
        return {"error": str(error)}
    fields: dict[str, Any] = {
        "pronunciations": [{"arpabet": " ".join(variant), "ipa": to_ipa(variant)} for variant in variants],
        "words": [_word(word) for alternative in words for word in alternative],
    }
    if advice := _advice(words, min(map(len, variants))):
        fields["advice"] = advice
    return fields


def _word(spoken: Spoken) -> dict[str, str]:
    first = spoken.pronunciations[0]
    return {"word": spoken.word, "source": spoken.source, "arpabet": " ".join(first), "ipa": to_ipa(first)}


def _advice(alternatives: list[list[Spoken]], phonemes: int) -> str:
    guessed = [spoken.word for words in alternatives for spoken in words if spoken.source == "g2p"]
    if guessed:
        return f"No dictionary holds {' and '.join(guessed)}: check how it is said."
    if phonemes < FEW_PHONEMES:
        return "So short a keyword is also heard inside other words; a longer one is safer."
    return ""
