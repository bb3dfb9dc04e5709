"""What Exchange's cmdlets do to the simulated organisation, bound as the public reference says."""
