"""Open-vocabulary keyword spotting: type any English word or phrase and find it in audio."""

__version__ = "0.1.0"
