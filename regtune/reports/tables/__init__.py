"""One file = one table: results in, a frame and its words out. `catalog` has those of a sweep in their order."""
