"""What ranks chunks, behind one small interface: Postgres itself, or an engine beside it."""
