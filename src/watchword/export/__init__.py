"""Export: a trained model becomes a bundle, proved equal to torch."""

from watchword.export.bundling import export_model
from watchword.export.parity import ExportError

__all__ = ["ExportError", "export_model"]
