"""A lab that runs: all servers of a story on loopback, and what clients need to reach them."""
