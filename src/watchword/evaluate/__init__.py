"""Evaluation: trials that are fixed by a seed, figures with intervals, through the runtime that ships."""
