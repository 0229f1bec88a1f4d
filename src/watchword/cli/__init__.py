"""The command line: one thin function a file, imported only when it is called."""
