"""Trainers. Only workers and offline commands import this package, `candidates` excepted: what
`auto` takes is checked where a training is asked for.
"""

import os

# OpenMP threads that spin while they wait starve each other when cores are shared: on two busy
# cores one fit took over 200 s with the default and 96 s with this. Read once, when torch loads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
