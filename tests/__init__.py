"""The tests; each process of them keeps to one CPU.

Several run at once, and threads that share a busy CPU wait for each other. Libraries look for this when they are
loaded, which for torch and NumPy is after this file. Trials set their own number of threads.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"
