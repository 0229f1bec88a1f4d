"""Export: a trained model becomes a bundle, proved equal to torch."""

from watchword.export.bundling import export_model
from watchword.export.parity import ExportError
from watchword.export.runs import export

__all__ = ["ExportError", "export", "export_model"]
