"""Codecs without I/O for what no library speaks for us, or not fast enough."""
