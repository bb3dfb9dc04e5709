"""Exchange Web Services, as far as probes and public clients use them (protocols.md 2).

`service` takes a request in, one module per group of operations answers.
"""
