"""One report per module: facts in, document out."""
