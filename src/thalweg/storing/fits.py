"""A fit on disk: networks, what they said and saw, and the inputs that asking them needs, without
pickle.

`quantifier.json` names all other files by digests of their content, and is written last: a folder
holds the fit that was there before, or the new one. What the emulator learned is not stored: it
learns again from the same observations and seed when it is first asked.
"""

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Any, cast

from torch import Tensor, nn

from thalweg import files
from thalweg.averaging import Averaging, blocks
from thalweg.choosing import Purchase
from thalweg.emulators.base import Emulator, emulators, find_emulator
from thalweg.emulators.transfer import Portrait
from thalweg.errors import InputError
from thalweg.features import InputFeatures, TrainingFeatures, TrainingInputs
from thalweg.fitting import Asking, Fitted, Witness, made
from thalweg.graph.narrowing import narrow_model
from thalweg.meter import Cost, Meter
from thalweg.outputs import Outputs, outputs_of
from thalweg.places import Place
from thalweg.predicting import in_batches, predict
from thalweg.sensitivity import Sensitivity
from thalweg.training.architecture import Architecture
from thalweg.training.batches import Transform
from thalweg.training.calling import Call, Derived, Pick
from thalweg.training.execution import check_device
from thalweg.training.identity import identity_of
from thalweg.training.padding import joined
from thalweg.training.unlabelled import inputs_of
from thalweg.trees import Form, Inputs, rows, taken
from thalweg.weights.distribution import pack, unpack

RECORD = "quantifier.json"
_NEAR = 1e-4  # in probabilities, or in standard deviations: other machines round otherwise
_NEAR_ELSEWHERE = 0.02  # GPUs may round to ten bits
_VERSIONS = ("torch", "numpy", "scikit-learn")


@dataclass(frozen=True, eq=False)
class StoredFit:
    """What a folder holds.

    Attributes:
        fitted: The fit.
        settings: The settings of the quantifier, but for functions and the emulator.
        cost: What the fit cost.
        bought: What was bought after its first part.
    """

    fitted: Fitted
    settings: dict[str, Any]
    cost: Cost
    bought: tuple[Purchase, ...]


def check_storable(emulator: Emulator, *, held: bool) -> None:
    """Checks that a fit can be stored.

    Args:
        emulator: What learns.
        held: Whether the training inputs that it needs are in memory.

    Raises:
        InputError: The emulator is not registered, or has settings that JSON can't hold; or the
            training inputs are too many.
    """
    _emulator_facts(emulator)
    if not held:
        raise InputError(
            "this fit can't be stored: its emulator looks for nearest training inputs, and they "
            f"are too many to be stored; give emulator={type(emulator).__name__}(geometry=False)"
        )


def write_fit(
    folder: Place,
    fitted: Fitted,
    settings: Mapping[str, Any],
    cost: Cost,
    bought: Sequence[Purchase],
    *,
    own_narrow: bool,
) -> None:
    """Stores a fit in a folder.

    Args:
        folder: The folder; a fit that it holds is replaced.
        fitted: The fit.
        settings: Settings that JSON can hold.
        cost: What the fit cost.
        bought: What was bought after its first part.
        own_narrow: Whether a function of the user's makes the narrow network.

    Raises:
        InputError: The emulator is not registered, or the training set is too large to be held in
            memory.
        DiskError: The folder can't be written to, or the disk is full.
    """
    asking = fitted.asking
    held = asking.training is None or asking.training.held
    check_storable(fitted.emulator, held=held)
    emulator = _emulator_facts(fitted.emulator)
    architectures = [fitted.witnesses[0].architecture]
    architectures += [own.architecture for own in fitted.witnesses[fitted.whole :][:1]]
    names = [_write(folder, "networks", *_of_witness(own)) for own in fitted.witnesses]
    training = None
    if asking.training is not None:
        training = _write(folder, "inputs", *_of_batches(asking.training.batches))
    record = {
        "kind": "quantifier",
        "settings": dict(settings),
        "emulator": emulator,
        "outputs": {"kind": asking.outputs.kind, **_fields(asking.outputs)},
        "architectures": [_of_architecture(own) for own in architectures],
        "own_narrow": own_narrow,
        "seed": fitted.seed,
        "networks": names,
        "whole": fitted.whole,
        "given": fitted.given,
        "path": fitted.path,
        "width_ratio": fitted.width_ratio,
        "layer": asking.layer,
        "inputs": _write(folder, "inputs", *_of_inputs(asking, architectures)),
        "training": training,
        "cost": asdict(cost),
        "bought": [asdict(purchase) for purchase in bought],
        "versions": {"python": platform.python_version(), **{n: version(n) for n in _VERSIONS}},
    }
    if asking.averaging is not None:
        count, seed = asking.averaging.count, asking.averaging.seed
        record["averaging"] = {"count": int(count), "seed": int(seed)}
    before = _named_before(folder)
    files.write_record(folder / RECORD, record)
    for kind, name in before - _named(record):  # what an earlier fit has left, and nothing else
        files.remove(folder / kind / f"{name}.safetensors")


def _named(record: Mapping[str, Any]) -> set[tuple[str, str]]:
    """The files of a fit: the folders in which they are, and their names."""
    inputs = [name for name in (record["inputs"], record["training"]) if name is not None]
    return {("networks", n) for n in record["networks"]} | {("inputs", n) for n in inputs}


def _named_before(folder: Place) -> set[tuple[str, str]]:
    """The files of the fit that a folder holds; none where it holds none that can be read."""
    from thalweg.storing.records import FitRecord  # it takes a fifth of a second

    try:
        return _named(files.read_record(folder / RECORD, FitRecord))
    except files.Unreachable:
        raise
    except InputError:
        return set()


def read_fit(
    folder: Place,
    model: Callable[[], nn.Module],
    narrow: Callable[[], nn.Module] | None = None,
    device: str | None = None,
    pick: Pick = None,
    augment: Transform | None = None,
) -> StoredFit:
    """Reads what `write_fit` wrote.

    Args:
        folder: The folder.
        model: Makes a new network, as that of the problem did.
        narrow: The same of a narrow network, where a function of the user's made it.
        device: Where networks are evaluated; where they were if None.
        pick: What of the network's outputs are the logits, where a function of the user's says so.
        augment: What changes inputs at random, where predictions are averaged over such changes.

    Raises:
        InputError: A file is missing or damaged, or a network that `model` or `narrow` makes does
            not fit the stored weights, or predicts otherwise with them; or a function that the fit
            needs is missing, or is another one.
    """
    from thalweg.storing.records import FitRecord  # it takes a fifth of a second

    record = files.read_record(folder / RECORD, FitRecord)
    if record["own_narrow"] and narrow is None:
        raise InputError(
            f"{folder} holds narrow copies that a function of yours makes: give it, narrow="
        )
    if record["architectures"][0]["own_pick"] and pick is None:
        raise InputError(
            f"{folder} holds networks whose logits a function of yours picks: give it, pick="
        )
    averages = record["averaging"]["count"] if "averaging" in record else 0
    if averages and augment is None:
        raise InputError(
            f"{folder} holds predictions that are averaged over {averages} random changes of each "
            "input, which a function makes that no file can hold: give it, augment= (that of the "
            "training set)"
        )
    if augment is not None and not callable(augment):
        raise InputError(
            f"augment got {augment!r}, needs a function of inputs and a random generator: give "
            "that of the training set"
        )
    try:
        return _read(folder, record, model, narrow, device, pick, augment)
    except (KeyError, TypeError, IndexError) as error:
        raise InputError(
            f"{folder / RECORD} is damaged ({type(error).__name__}: {error}): {files.COPY}"
        ) from None


def _read(
    folder: Place,
    record: dict[str, Any],
    model: Callable[[], nn.Module],
    narrow: Callable[[], nn.Module] | None,
    device: str | None,
    pick: Pick,
    augment: Transform | None,
) -> StoredFit:
    facts, cost = record["outputs"], Cost(**record["cost"])
    outputs = type(outputs_of(facts))(**{k: v for k, v in facts.items() if k != "kind"})
    # says first where it is of another version, whose witnesses may hold other numbers
    emulator = find_emulator(record["emulator"]["name"])(**record["emulator"]["settings"])
    tensors, lengths = _read_file(folder, "inputs", record["inputs"])
    whole = Architecture(
        model=model,
        outputs=outputs,
        **_architecture(record["architectures"][0], device, pick),
        example=_tree(tensors, "example 0", _form(record["architectures"][0])),
        meter=Meter(cost.training_examples),
    )
    architectures = [whole]
    if len(record["architectures"]) > 1:
        ratio = record["width_ratio"]
        cut = Derived(narrow_model, whole.factory, ratio, whole.example, whole.stored)
        architectures.append(
            replace(
                whole,
                model=narrow if record["own_narrow"] and narrow is not None else cut,
                **_architecture(record["architectures"][1], device, pick),
                example=_tree(tensors, "example 1", _form(record["architectures"][1])),
                meter=Meter(),
            )
        )
    training = None
    if record["training"] is not None:
        known, cut_at = _read_file(folder, "inputs", record["training"])
        training = TrainingInputs(_batches(known, "", cut_at, whole.call.form), whole.device)
    averaging = None
    if "averaging" in record and augment is not None:
        averaging = Averaging(augment, **record["averaging"])
    asking = Asking(
        [(x,) for (x,) in _batches(tensors, "unlabelled ", lengths, whole.call.form)],
        training,
        _batches(tensors, "part ", lengths, whole.call.form),
        record["layer"],
        outputs,
        whole.example,
        whole.meter,
        averaging,
    )
    witnesses = tuple(
        _witness(folder, name, architectures[number >= record["whole"]])
        for number, name in enumerate(record["networks"])
    )
    settings = record["settings"]
    fitted = made(
        asking,
        witnesses,
        record["whole"],
        record["given"],
        record["width_ratio"],
        emulator,
        record["seed"],
        record.get("path", 1),
    )
    there = record["architectures"][0]["device"].split(":")[0] == whole.device.split(":")[0]
    near = _NEAR if there else _NEAR_ELSEWHERE
    for number, own in enumerate(fitted.used):
        _check_alike(own, asking, "model" if number < fitted.whole else "narrow", near)
    if averaging is not None:
        _check_averaging(averaging, fitted.used[0], asking, near)
    bought = tuple(Purchase(**purchase) for purchase in record["bought"])
    return StoredFit(fitted, settings, cost, bought)


def _check_alike(own: Witness, asking: Asking, name: str, near: float) -> None:
    """Whether a network predicts a batch of unlabelled inputs as it did when it was fitted.

    Raises:
        InputError: It does not.
    """
    first = next(iter(in_batches(asking.unlabelled, asking.example)))
    said = predict(own.architecture, own.weights, [first]).stored[0]
    if (apart := _apart(said, own.log_probs, asking.outputs, near)) is not None:
        raise InputError(
            f"{name}() makes a network that predicts otherwise than the stored one with the same "
            f"weights (by {apart:.2g}): give the function that it was fitted with"
        )


def _check_averaging(averaging: Averaging, own: Witness, asking: Asking, near: float) -> None:
    """Whether a network predicts the first unlabelled inputs, changed at random, as it did when it
    was fitted.

    Raises:
        InputError: It does not.
    """
    batches = in_batches(asking.unlabelled, asking.example)
    first = next(blocks(inputs_of(batch, asking.example) for batch in batches))
    said = averaging.said(own.architecture, own.weights, first)
    if (apart := _apart(said, cast(Tensor, own.averaged), asking.outputs, near)) is not None:
        raise InputError(
            f"augment() changes inputs otherwise than when the networks were asked (predictions "
            f"differ by {apart:.2g}): give the function that it was fitted with, and its device "
            "where it draws otherwise on another one"
        )


def _apart(said: Tensor, before: Tensor, outputs: Outputs, near: float) -> float | None:
    """How far stored predictions `[first inputs, columns]` are from those before, of which they
    are the first; None where they are near.
    """
    values = outputs.predicted.values
    scale = 1.0 if outputs.simplex else float(before.std().clamp_min(1e-30))
    apart = float((values(said.double()) - values(before[: len(said)].double())).abs().max())
    return apart if apart > near * scale else None


def _write(folder: Place, kind: str, tensors: dict[str, Tensor], facts: dict[str, Any]) -> str:
    """Stores a file under a digest of its content, which it returns."""
    plain = {name: tensor.detach().cpu() for name, tensor in tensors.items()}
    name = str(identity_of([plain, facts]))[:20]
    path = folder / kind / f"{name}.safetensors"
    try:  # it may be there already
        _, found = files.read_tensors(path)
        is_there = found.get("name") == name
    except files.Unreachable:
        raise
    except InputError:
        is_there = False
    if not is_there:
        files.write_tensors(path, plain, {**facts, "name": name})
    return name


def _read_file(folder: Place, kind: str, name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    path = folder / kind / f"{name}.safetensors"
    tensors, facts = files.read_tensors(path)
    if facts.pop("name", None) != name:
        raise InputError(f"{path} belongs to another fit: {files.COPY}")
    # copies lie in memory as tensors that were computed do: where a matrix begins there changes the
    # order in which some libraries add, and so the last bits
    return {key: tensor.clone() for key, tensor in tensors.items()}, facts


def _emulator_facts(emulator: Emulator) -> dict[str, Any]:
    name = next((name for name, cls in emulators().items() if cls is type(emulator)), None)
    settings = asdict(emulator) if name is not None else {}  # type: ignore[call-overload]
    if name is None or not all(
        isinstance(value, bool | int | float | str | None) for value in settings.values()
    ):
        raise InputError(
            f"a {type(emulator).__name__} can't be stored, as no file can name it: register it "
            "with thalweg.register_emulator, with settings that are numbers and text"
        )
    return {"name": name, "settings": settings}


def _fields(outputs: Outputs) -> dict[str, Any]:
    return asdict(outputs)  # type: ignore[call-overload]


def _of_architecture(own: Architecture) -> dict[str, Any]:
    facts: dict[str, Any] = {"seed": own.seed, "sources": list(own.sources), "device": own.device}
    pick, form = own.call.pick, own.call.form
    facts["own_pick"] = callable(pick)
    facts["pick"] = None if callable(pick) else pick
    facts["picks"], facts["form"] = own.call.picks, list(form) if isinstance(form, tuple) else form
    return {**facts, "channels_last": own.channels_last, "stored": list(own.stored)}


def _form(facts: Mapping[str, Any]) -> Form:
    form = facts["form"]
    return tuple(form) if isinstance(form, list) else form


def _architecture(facts: Mapping[str, Any], device: str | None, pick: Pick) -> dict[str, Any]:
    """Returns what is stored of an architecture, on the device that it had, or on another one."""
    try:
        check_device(device or facts["device"], "device")
    except InputError as error:
        hint = "" if device else ": give device='cpu', say, to evaluate networks there"
        raise InputError(f"{error}{hint}") from None
    said = pick if facts["own_pick"] else facts["pick"]
    return {
        "call": Call(_form(facts), said, facts["picks"]),
        "seed": facts["seed"],
        "sources": tuple(facts["sources"]),
        "device": device or facts["device"],
        "channels_last": facts["channels_last"],
        "stored": tuple(facts["stored"]),
    }


def _of_witness(own: Witness) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors = {f"weights {key}": tensor for key, tensor in pack([own.weights]).items()}
    tensors["log_probs"] = own.log_probs
    if own.averaged is not None:
        tensors["averaged"] = own.averaged
    facts: dict[str, Any] = {"ratio": own.ratio, "portrait": asdict(own.portrait), "seen": None}
    facts["sensitivity"] = None if own.sensitivity is None else asdict(own.sensitivity)
    if own.features is not None and own.rows is not None:
        seen = own.features.seen
        tensors |= {"rows": own.rows, "features": seen.features, "labels": seen.labels}
        tensors |= {f"factor {number}": factor for number, factor in enumerate(seen.factors)}
        facts["seen"] = {"layer": seen.layer, "side": seen.side, "columns": seen.columns}
    return tensors, facts


def _witness(folder: Place, name: str, architecture: Architecture) -> Witness:
    tensors, facts = _read_file(folder, "networks", name)
    packed = {
        key.removeprefix("weights "): tensor
        for key, tensor in tensors.items()
        if key.startswith("weights ")
    }
    weights, features = unpack(packed)[0].to(architecture.device), None
    architecture.network(weights)  # says so where they do not fit
    if facts["seen"] is not None:
        factors = (tensors["factor 0"], tensors["factor 1"])
        on = [t.to(architecture.device) for t in (tensors["features"], tensors["labels"], *factors)]
        seen = TrainingFeatures(
            **facts["seen"], features=on[0], labels=on[1], factors=(on[2], on[3])
        )
        features = InputFeatures.again(architecture, weights, seen)
    portrait, moved = Portrait(**facts["portrait"]), facts.get("sensitivity")
    rows, said = tensors.get("rows"), tensors["log_probs"]
    found = None if moved is None else Sensitivity(**moved)
    known = said, rows, portrait, found, tensors.get("averaged")
    return Witness(architecture, weights, facts["ratio"], features, *known)


def _of_inputs(
    asking: Asking, architectures: Sequence[Architecture]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors: dict[str, Tensor] = {}
    for number, own in enumerate(architectures):
        tensors |= _flat(f"example {number}", own.example)
    like = asking.example
    unlabelled = [(inputs_of(batch, like),) for batch in in_batches(asking.unlabelled, like)]
    facts: dict[str, Any] = {}
    for name, batches in (("unlabelled ", unlabelled), ("part ", asking.part)):
        own_tensors, own_facts = _of_batches(batches, name)
        tensors, facts = tensors | own_tensors, facts | own_facts
    return tensors, facts


def _of_batches(batches: Any, name: str = "") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Batches as one of each of their parts, and their lengths, by which they are cut again:
    networks give the same bits for the same batches.
    """
    parts = list(zip(*batches, strict=True))
    lengths = [rows(part) for part in parts[0]] if parts else []
    tensors: dict[str, Tensor] = {}
    for number, part in enumerate(parts):
        tensors |= _flat(f"{name}{number}", joined(part))
    return tensors, {name: lengths}


def _batches(
    tensors: Mapping[str, Tensor], name: str, lengths: Mapping[str, Any], form: Form
) -> list[tuple[Any, ...]]:
    """The inverse of `_of_batches`, where inputs have this form."""
    if not lengths[name]:
        return []
    parts = [_tree(tensors, f"{name}0", form)]
    if f"{name}1" in tensors:
        parts.append(tensors[f"{name}1"])
    ends = [sum(lengths[name][: k + 1]) for k in range(len(lengths[name]))]
    cuts = [slice(end - length, end) for length, end in zip(lengths[name], ends, strict=True)]
    return [tuple(taken(part, cut) for part in parts) for cut in cuts]


def _flat(name: str, x: Inputs) -> dict[str, Tensor]:
    """Inputs as tensors by name."""
    if isinstance(x, Tensor):
        return {name: x}
    parts = x.items() if isinstance(x, Mapping) else enumerate(x)
    return {f"{name} {key}": part for key, part in parts}


def _tree(tensors: Mapping[str, Tensor], name: str, form: Form) -> Inputs:
    """The inverse of `_flat`."""
    if form is None:
        return tensors[name]
    if isinstance(form, int):
        return tuple(tensors[f"{name} {number}"] for number in range(form))
    return {key: tensors[f"{name} {key}"] for key in form}
