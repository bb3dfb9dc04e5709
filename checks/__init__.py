"""The checks that ship with mailmig: one module per family, found by the catalogue."""
