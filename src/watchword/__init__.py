"""Open-vocabulary keyword spotting: type any English word or phrase and find it in audio."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from watchword.runtime import Bundle, BundleError, Detection, Keyword, Spotter

__version__ = "0.1.0"
__all__ = ["Bundle", "BundleError", "Detection", "Keyword", "Spotter", "__version__"]


def __getattr__(name: str) -> object:
    """Imports the runtime when its first name is asked for, so that `import watchword` costs nothing."""
    if name in __all__:
        return getattr(importlib.import_module("watchword.runtime"), name)
    raise AttributeError(f"module 'watchword' has no attribute {name!r}")
