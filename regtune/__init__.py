"""regtune: which regularizer, at which strength, is worth it for my network on my data?"""

__version__ = "0.1.0"
