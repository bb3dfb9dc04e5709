"""What may go wrong in the lab: one small class per fault, found by looking into this folder."""
