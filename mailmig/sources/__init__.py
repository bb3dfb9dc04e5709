"""Ask the world; one module per protocol."""
