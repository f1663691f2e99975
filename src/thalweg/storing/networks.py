"""The store of trained networks, by key: a cache of trainings (`training.keeping`), and of what
networks say of inputs (`observing`).

Every file names the network that it belongs to, and has a checksum. A file that is damaged, or
belongs to another one, counts as "not done", and is made again.
"""

from dataclasses import asdict, dataclass

from thalweg import files
from thalweg.errors import InputError
from thalweg.meter import Cost, now
from thalweg.observing import NetworkRecord
from thalweg.places import Place, is_left_over, listed
from thalweg.remote import Remote, check
from thalweg.weights.distribution import Members, load, save
from thalweg.weights.point import Weights


@dataclass(frozen=True)
class NetworkStore:
    """A folder of trained networks. Two such folders are merged by copying one into the other.

    Attributes:
        folder: The path of the folder.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> store = NetworkStore(Path(tempfile.mkdtemp()))
        >>> store.has("a-key"), store.get("a-key")
        (False, None)
    """

    folder: Place

    def check_reachable(self) -> None:
        """Checks that an object store answers, without writing to it.

        Raises:
            InputError: It does not, there is no such bucket, or the credentials are wrong.
        """
        if isinstance(self.folder, Remote):
            check(self.folder)

    def check_writable(self) -> None:
        """Checks that the folder can be written to, by writing and deleting a small file.

        Raises:
            InputError: It can't.
        """
        self.check_reachable()
        files.check_writable(self.folder)

    def clock(self) -> float:
        """Returns the time by the clock that dates the folder's files, which may be another
        machine's, in seconds since 1970.
        """
        return now() if isinstance(self.folder, Remote) else files.check_writable(self.folder)

    def sweep(self) -> None:
        """Deletes half-written files that killed processes left behind (`places.is_left_over`)."""
        if isinstance(self.folder, Remote):  # a store shows none
            return
        clock = self.clock()
        for file in listed(self.folder):
            if is_left_over(file, clock):
                files.remove(self.folder / file.path)

    def has(self, key: str) -> bool:
        """Whether a trained network is kept."""
        return files.exists(self._anchor(key))

    def get(self, key: str) -> tuple[Weights, Cost] | None:
        """Returns a trained network and its cost, or None if it is missing or damaged."""
        try:
            from thalweg.storing.records import AnchorRecord  # it takes a fifth of a second

            record = files.read_record(self._anchor(key).with_suffix(".json"), AnchorRecord)
            named = record.pop("key", None)  # files of thalweg 0.1 do not name their network
            stored = load(self._anchor(key), key=None if named is None else key)
            cost = Cost(**record)
        except files.Unreachable:
            raise
        except (InputError, TypeError):
            return None
        if not isinstance(stored, Members) or named not in (key, None):
            return None
        return stored.points[0], cost

    def put(self, key: str, weights: Weights, cost: Cost) -> None:
        """Stores a trained network and its cost."""
        files.write_record(self._anchor(key).with_suffix(".json"), {**asdict(cost), "key": key})
        save(Members((weights,)), self._anchor(key), key=key)

    def recorded(self, key: str, *, features: bool) -> NetworkRecord | None:
        """Returns the stored record of a network's outputs on all parts.

        It is None if the record is missing or damaged, or lacks features that are needed.
        """
        try:
            tensors, facts = files.read_tensors(self._network_record(key))
            costs = Cost(**facts["cost"]), Cost(**facts["features_cost"])
        except files.Unreachable:
            raise
        except (InputError, TypeError, KeyError):
            return None
        if facts.get("key", key) != key:
            return None
        log_probs, rows = (
            {name.split("|")[1]: t for name, t in tensors.items() if name.startswith(kind)}
            for kind in ("log_probs|", "features|")
        )
        return None if features and not rows else NetworkRecord(log_probs, rows, *costs)

    def keep(self, key: str, record: NetworkRecord) -> None:
        """Stores the record of a network's outputs."""
        tensors = {f"log_probs|{name}": t for name, t in record.log_probs.items()}
        tensors |= {f"features|{name}": t for name, t in record.features.items()}
        cost, features_cost = asdict(record.cost), asdict(record.features_cost)
        facts = {"cost": cost, "features_cost": features_cost, "key": key}
        files.write_tensors(self._network_record(key), tensors, facts)

    def _network_record(self, key: str) -> Place:
        return self.folder / "witnesses" / f"{key}.safetensors"

    def _anchor(self, key: str) -> Place:
        return self.folder / "anchors" / f"{key}.safetensors"
