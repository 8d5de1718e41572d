"""One file per change of the schema; none is edited once released."""
