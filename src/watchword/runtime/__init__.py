"""Finding keywords in audio with an exported model: numpy and onnxruntime, no torch."""

from watchword.bundle import Bundle, BundleError
from watchword.runtime.decision import Detection
from watchword.runtime.spotter import Keyword, Spotter

__all__ = ["Bundle", "BundleError", "Detection", "Keyword", "Spotter"]
