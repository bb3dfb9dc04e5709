"""What mailmig remembers: snapshots, plans and the journal."""
