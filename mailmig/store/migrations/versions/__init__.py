"""One migration per module; its `revision` is a number of four digits, the newest is schema.HEAD."""
