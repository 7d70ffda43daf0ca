"""The only rooms that start ray."""
