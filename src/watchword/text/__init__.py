"""Text room: words, phonemes and pronunciations; any English spelling to ARPABET without a network."""
