"""Data: segments and their manifests, the packed store, augmentation, batches."""
