"""Engines: executors on many machines, which start, place and repeat what thalweg asks for.

Give one as `Execution(executor=...)`. Each is one class, whose fields are all of its settings, and
needs an extra of its own: `thalweg[ray]`, `thalweg[slurm]`.
"""

from thalweg.engines.named import engine
from thalweg.engines.ray import Ray
from thalweg.engines.slurm import Slurm

__all__ = ["Ray", "Slurm", "engine"]
