"""Finding keywords in audio with an exported model: numpy and onnxruntime, no torch."""

from watchword.bundle import Bundle, BundleError
from watchword.runtime.detection import Detection, PhonemePlace
from watchword.runtime.keywords import Keyword
from watchword.runtime.spotter import Spotter
from watchword.runtime.stream import Stream

__all__ = ["Bundle", "BundleError", "Detection", "Keyword", "PhonemePlace", "Spotter", "Stream"]
