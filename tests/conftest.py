"""Settings of the whole test suite."""

import os

# Threads that outnumber the free cores make small torch and onnxruntime calls many times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")
