"""WS-Management over HTTP as Windows speaks it: envelopes, logging on, shells, and the server."""
