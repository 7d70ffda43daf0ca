"""Published figures beside those of a sweep: a file in `tables/` for each published table; read, matched, compared."""
