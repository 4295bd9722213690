"""CMS envelopes: EnvelopedData and AuthEnvelopedData (RFC 5652, 5083), written, read and opened.

Pure: no clock, no network; randomness from the operating system. Nothing here keeps a key.
"""
