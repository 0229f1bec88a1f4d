"""The model in torch: log-mel features, the acoustic and the text encoder, and the matcher of Eq. 1."""
