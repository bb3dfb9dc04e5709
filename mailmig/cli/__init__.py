"""One module per command; nothing heavy is imported before the command runs."""
