"""Preparation: corpora read, speech synthesised and aligned, all as segments."""
