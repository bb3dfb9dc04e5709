"""The simulated organisation: demo, test bed and rehearsal."""
