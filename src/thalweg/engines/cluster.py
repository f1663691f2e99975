"""The connection to a Ray cluster, and what its machines have.

This is one of two modules that import Ray, which stays connected until this process ends or
`ray.shutdown()` is called.
"""

import logging
import os
import signal
import socket
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from thalweg.engines import versions
from thalweg.errors import InputError

PATIENCE = 5.0  # seconds for a machine to take a connection
_GB = 10**9
# what Ray would say at every start and send to its makers, and its low priority, with which workers
# hardly run beside anything else; the user's own values stay
_QUIET = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
}

_CONNECTED: set[str] = set()  # how the address was given, which Ray may write in another way


@dataclass(frozen=True)
class Needs:
    """What a task needs of a machine.

    Attributes:
        cpus: Processor cores.
        gpus: GPUs; a fraction shares one.
        memory: Main memory, in GB; 0 for nothing that is known.
    """

    cpus: float
    gpus: float
    memory: float = 0.0

    def places(self, node: Mapping[str, float]) -> int:
        """How many such tasks a machine with these resources can run side by side.

        Example:
            >>> Needs(cpus=1, gpus=0.4).places({"CPU": 16.0, "GPU": 2.0})
            4
        """
        limits = [float("inf")]
        if self.cpus:
            limits.append(node.get("CPU", 0.0) // self.cpus)
        if self.gpus >= 1:
            limits.append(node.get("GPU", 0.0) // self.gpus)
        elif self.gpus:  # a task does not take parts of two GPUs
            limits.append(node.get("GPU", 0.0) * (1 // self.gpus))
        if self.memory:
            limits.append(node.get("memory", 0.0) // (self.memory * _GB))
        least = min(limits)
        return 0 if least == float("inf") else int(least)


def check_installed() -> None:
    """Checks that Ray is installed.

    Raises:
        InputError: It is not.
    """
    if find_spec("ray") is None:
        raise InputError("the engine 'ray' needs Ray: pip install 'thalweg[ray]'")


def connect(address: str | None, runtime_env: Mapping[str, Any] | None) -> None:
    """Connects this process to a cluster, unless it is connected already.

    Args:
        address: That of a cluster's head, as host:port; "auto" for one that runs on this machine;
            None for a Ray of this process's own, which ends with it.
        runtime_env: What Ray brings to the machines (`ray.init(runtime_env=...)`).

    Raises:
        InputError: There is no such cluster, or this process is connected to another one.
    """
    import ray

    if ray.is_initialized():
        here = ray.get_runtime_context().gcs_address
        if address not in (None, "auto", here, *_CONNECTED):
            raise InputError(
                f"this process is connected to the Ray cluster at {here}, so that it can't use "
                f"{address}: call ray.shutdown() first"
            )
        return
    _CONNECTED.clear()
    if address is not None and address != "auto":
        _knock(address)
    own: dict[str, Any] = {"num_cpus": _cores(), "include_dashboard": False}
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        with _users_signals():
            ray.init(
                address=address or "local",
                runtime_env=None if runtime_env is None else dict(runtime_env),
                logging_level=logging.ERROR,
                log_to_driver=False,
                **(own if address is None else {}),
            )
    except (ConnectionError, RuntimeError, ValueError) as error:
        where = "a Ray of its own" if address is None else f"the Ray cluster at '{address}'"
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"{where} can't be used ({reason}): start one with 'ray start --head', give the "
            "address of one that runs, or none for this machine alone"
        ) from error
    if address is not None:
        _CONNECTED.add(address)
        _compare()


def nodes() -> list[dict[str, Any]]:
    """Returns the machines of the cluster that live, as `ray.nodes()` describes them."""
    import ray

    return [node for node in ray.nodes() if node["Alive"]]


def places(needs: Needs) -> int:
    """How many tasks the cluster can run at once, now."""
    return sum(needs.places(node["Resources"]) for node in nodes())


def largest_memory() -> float:
    """The largest main memory that a machine gives to tasks, in GB."""
    return max((node["Resources"].get("memory", 0.0) / _GB for node in nodes()), default=0.0)


def check_place(needs: Needs) -> None:
    """Checks that there is a machine for a task.

    Raises:
        InputError: No machine has what a task needs.
    """
    if places(needs):
        return
    have = "; ".join(
        f"{r.get('CPU', 0):g} CPUs, {r.get('GPU', 0):g} GPUs and {r.get('memory', 0) / _GB:.1f} GB"
        for r in (node["Resources"] for node in nodes())
    )
    memory = f" and {needs.memory:g} GB" if needs.memory else ""
    raise InputError(
        f"a task needs {needs.cpus:g} CPUs, {needs.gpus:g} GPUs{memory} of one machine, and the "
        f"cluster's have {have or 'nothing'}: ask for less, or give waiting = 1 or more where the "
        "cluster starts such machines by itself"
    )


def _compare() -> None:
    """Compares the machines of a cluster with this one, before they do anything."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ray.cloudpickle.register_pickle_by_value(versions)
    try:
        look = ray.remote(versions.found)
        asked = {
            node["NodeManagerAddress"]: look.options(
                num_cpus=0,
                scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
            ).remote()
            for node in nodes()
            if node["Resources"].get("CPU")
        }
        there = {address: ray.get(told) for address, told in asked.items()}
    finally:
        ray.cloudpickle.unregister_pickle_by_value(versions)
    here = versions.found()
    for address, found in there.items():
        versions.compare(here, found, f"the machine {address} of the cluster")


def _knock(address: str) -> None:
    """Finds out in seconds that nobody is there, for which Ray takes a minute."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise InputError(
            f"address got '{address}', needs host:port such as 10.0.0.5:6379, or 'auto' for a "
            "cluster that runs on this machine. From outside of a cluster, send the whole command "
            "there: ray job submit -- thalweg study ..."
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
    except OSError as error:
        raise InputError(
            f"there is no Ray cluster at {address} ({error.strerror or error}): start one with "
            "'ray start --head' there, or correct the address"
        ) from None


def _cores() -> int:
    affinity = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
    return len(affinity) or os.cpu_count() or 1


@contextmanager
def _users_signals() -> Iterator[None]:
    """Gives SIGTERM back to who had it: Ray takes it over in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)
