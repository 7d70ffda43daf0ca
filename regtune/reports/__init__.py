"""One file = one table or figure: frame in, frame or chart out."""
