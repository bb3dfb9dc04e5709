"""What mail clients meet on port 443 of each Exchange server: a front end, and what is behind it.

`front_end` takes a request in, `directories` says what the organisation's settings make of each
virtual directory; one module per protocol answers as a back end does. None of them knows a fault:
all that goes wrong follows from the state of the organisation, its servers and its machines.
"""
