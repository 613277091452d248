"""The command line: one program, ``cnndetect``, with a module for each verb. Each parses, makes one call and prints."""
