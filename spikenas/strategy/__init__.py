"""How a search decides: what to propose next, and what not to train."""
