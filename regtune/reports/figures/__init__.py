"""One file = one figure: results in, an altair chart out, or `Nothing` and why. `catalog` has all in their order."""
