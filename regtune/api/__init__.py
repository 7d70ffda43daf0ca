"""What Python users call: results of a sweep with all that can be made of them, and comparisons in one line."""
