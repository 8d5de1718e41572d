"""spikenas."""
