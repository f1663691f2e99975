"""Inputs of any shape, and logits among other outputs: a network gets what its twin of one tensor
and one output gets, bit for bit.
"""

import copy
import warnings
from collections import UserDict
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

import thalweg
from shapes import LENGTH, PAIRS, RECIPE, Answer, Both, Pair, Reader, WithStates, sentences
from thalweg.baselines.batch_ensemble import BatchEnsemble
from thalweg.baselines.linearised import Linearised
from thalweg.baselines.packed_ensemble import PackedEnsemble
from thalweg.emulators.forest import Forest
from thalweg.errors import InputError
from thalweg.explorers.base import explorers
from thalweg.features import InputFeatures, training_neighbours
from thalweg.narrow.flops import flops
from thalweg.training.anchors import train_anchors, train_together
from thalweg.training.execution import Execution
from thalweg.training.problem import Problem
from thalweg.weights.copying import copied

SMALL = {
    "adversaries": {"members": 2},
    "csghmc": {"cycles": 2, "samples": 2},
    "csgld": {"cycles": 2, "samples": 2},
    "deep-ensemble": {"members": 2},
    "espro": {"vertices": 1, "draws": 2},
    "fge": {"cycles": 2},
    "multiswag": {"members": 2},
    "restarts": {"members": 2},
    "short-ensemble": {"members": 2},
    "snapshot": {"cycles": 2},
    "spro": {"draws": 2},
    "spro-complex": {"connectors": 1, "draws": 2},
    "subspace-inference": {"samples": 3, "rank": 2},
    "thalweg": {"members": 2, "places": 100},
    "weight-dropout": {"members": 2},
}


def both(pair: Pair, **settings) -> tuple[Problem, Problem]:
    return pair.problem(**settings), pair.problem(twin=True, **settings)


def equal(one, other) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("name", list(explorers()))
def test_explorers(name, pair):
    explorer, found = explorers()[name](**SMALL.get(name, {})), []
    for twin in (False, True):
        problem = PAIRS[pair].problem(twin=twin)
        explored = explorer.explore(problem)
        predictions = thalweg.predict(problem, explored, PAIRS[pair].asked(twin=twin), draws=3)
        cost = problem.cost
        found.append((predictions.log_probs, cost.backward_examples, cost.forward_examples))
    # distances between inputs, which an emulator looks at, are sums in the order of the parts
    # and words are mixed where they are all there is
    near = 2e-3 if explorer.looks or name == "adversaries" else 0.0
    assert torch.allclose(found[0][0], found[1][0], rtol=0, atol=near)
    assert found[0][1:] == found[1][1:]
    assert found[0][1] > 0


@pytest.mark.parametrize(
    ("baseline", "pair"),
    [
        *((BatchEnsemble(members=2), pair) for pair in PAIRS),
        *((Linearised(members=2), pair) for pair in PAIRS),
        (PackedEnsemble(members=2, alpha=1.0), "two inputs"),
        (PackedEnsemble(members=2, alpha=1.0), "a tuple of outputs"),
    ],
)
def test_baselines(baseline, pair):
    found = []
    for twin in (False, True):
        problem, members = baseline.train(PAIRS[pair].problem(twin=twin))
        asked = PAIRS[pair].asked(twin=twin)
        found.append(thalweg.predict(problem, members, asked).log_probs)
    assert torch.equal(*found)


@pytest.mark.parametrize("pair", PAIRS)
def test_features(pair):
    found = []
    for twin, problem in enumerate(both(PAIRS[pair])):
        asked = PAIRS[pair].asked(twin=bool(twin))
        near = training_neighbours(problem, asked)
        geometry = InputFeatures(problem, problem.anchor(0))
        found.append((geometry.names, *geometry.look(asked, near)))
        assert any(name.startswith("inputs-") for name in geometry.names) == (
            pair != "a dictionary"
        )
    assert found[0][0] == found[1][0]
    assert torch.equal(found[0][1], found[1][1]) and torch.equal(found[0][2], found[1][2])


@pytest.mark.parametrize(
    ("pair", "narrow"),
    [(pair, narrow) for pair in PAIRS for narrow in (True, False)],
)
def test_quantify(pair, narrow):
    """With narrow copies of the user's, and with those that are cut from the network's graph."""
    found = []
    for twin in (False, True):
        made = PAIRS[pair].twin if twin else PAIRS[pair].model
        settings = {"narrow": lambda made=made: made(5), "width_ratio": 0.5} if narrow else {}
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", UserWarning
            )  # few unlabelled inputs, and short trainings
            quantified = thalweg.quantify(
                PAIRS[pair].problem(twin=twin),
                PAIRS[pair].asked(twin=twin),
                budget=2.0,
                draws=10,
                emulator=Forest(trees=5),
                **settings,
            )
        found.append((quantified.predictions.log_probs, quantified.cost.trainings))
    assert torch.equal(found[0][0], found[1][0]) and found[0][1] == found[1][1]


@pytest.mark.parametrize("pair", PAIRS)
def test_stacks(pair):
    one, other = both(PAIRS[pair], execution=Execution(stack=2))
    for mine, theirs in zip(train_anchors(one, 2), train_anchors(other, 2), strict=True):
        equal(mine.params, theirs.params)
        equal(mine.buffers, theirs.buffers)


def test_a_stack_equals_separate_trainings():
    alone = train_anchors(PAIRS["a dictionary"].problem(), 2)
    stacked = train_anchors(PAIRS["a dictionary"].problem(execution=Execution(stack=2)), 2)
    for one, other in zip(alone, stacked, strict=True):
        for name, p in one.params.items():
            assert torch.allclose(p, other.params[name], atol=1e-5), name


def test_stacks_of_two_seeds_read_data_of_their_own():
    pair = PAIRS["two inputs"]
    problems = [pair.problem(seed=seed, execution=Execution(stack=2)) for seed in (0, 1)]
    train_together([(problem, 0) for problem in problems])
    assert all(problem.has(0) for problem in problems)


def test_other_processes():
    pair = PAIRS["a dictionary"]
    here, there = (train_anchors(pair.problem(execution=Execution(jobs=j)), 2) for j in (1, 2))
    threads = torch.get_num_threads()
    for one, other in zip(here, there, strict=True):
        for name, p in one.params.items():
            assert torch.allclose(p, other.params[name], atol=1e-6 if threads > 1 else 0), name


@pytest.mark.parametrize("pair", PAIRS)
def test_copies_compiled_networks_and_operations(pair):
    one, other = both(PAIRS[pair])
    x = PAIRS[pair].asked()
    network, twin = (p.network(p.anchor(0)).eval() for p in (one, other))
    torch.compiler.reset()
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    with torch.no_grad():
        expected = twin(PAIRS[pair].asked(twin=True))
        for module in (network, copied(network), copy.deepcopy(network), compiled):
            assert torch.equal(module(x), expected)
    assert list(network.state_dict()) == list(twin.state_dict())
    assert flops(one) == flops(other)


def test_a_training_is_that_of_a_plain_loop():
    """Words and mask by name, as a user calls the network."""
    problem = PAIRS["a dictionary"].problem(recipe=replace(RECIPE, weight_decay=0.0, momentum=0.9))
    mine, network, recipe = problem.anchor(0), problem.build("anchor", 0), problem.recipe
    plain = Reader()
    plain.load_state_dict(network.state_dict())
    batches = problem.batches("anchor", 0)
    optimizer = torch.optim.SGD(plain.parameters(), lr=recipe.lr, momentum=0.9)
    steps = recipe.steps(len(batches))
    for epoch in range(2):
        for number, (x, y) in enumerate(batches.epoch(epoch)):
            optimizer.param_groups[0]["lr"] = recipe.learning_rate(4 * epoch + number, steps)
            optimizer.zero_grad()
            plain(**x, labels=y).loss.backward()
            optimizer.step()
    for name, p in plain.named_parameters():
        assert torch.allclose(p, mine.params[name], atol=1e-6), name


def rows(examples: int = 120, seed: int = 0) -> list[dict]:
    """Sentences without padding, as a data set has them."""
    words, mask, y = sentences(examples, seed)
    return [
        {"input_ids": w[m == 1], "attention_mask": m[m == 1], "labels": label}
        for w, m, label in zip(words, mask, y, strict=True)
    ]


def collate(examples: list[dict]) -> UserDict:
    """Pads to the longest of a batch, with 1."""
    names = {"input_ids": 1, "attention_mask": 0}
    padded = {
        name: nn.utils.rnn.pad_sequence([e[name] for e in examples], True, fill)
        for name, fill in names.items()
    }
    return UserDict(padded, labels=torch.stack([e["labels"] for e in examples]))


def dynamic(examples: int = 120, seed: int = 0, **settings) -> DataLoader:
    return DataLoader(rows(examples, seed), 16, collate_fn=collate, **settings)


def test_batches_that_are_dictionaries_with_labels_of_other_lengths():
    problem = Problem(
        Reader, dynamic(shuffle=True), RECIPE, unlabelled=dynamic(60, 1), bn_examples=50
    )
    assert problem.training_examples == 2 * 120
    words, mask, _ = sentences(40, 2)
    padded = {"input_ids": words, "attention_mask": mask}
    for name in ("deep-ensemble", "swag", "spro"):
        found = explorers()[name](**SMALL.get(name, {})).explore(problem)
        one, other = (
            thalweg.predict(problem, found, asked, draws=2) for asked in (dynamic(40, 2), padded)
        )
        assert torch.allclose(one.probs(), other.probs(), atol=1e-5)
    known = problem.inputs(60)
    words, mask, _ = sentences(60, 1)
    assert torch.equal(known["input_ids"], words) and torch.equal(known["attention_mask"], mask)


def fit(module, seed):
    """A loop of a user's own, who knows nothing of how thalweg calls networks."""
    order = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.01)
    for batch in dynamic(shuffle=True, generator=order):
        optimizer.zero_grad()
        found = module(**batch)
        assert isinstance(found, Answer)
        found.loss.backward()
        optimizer.step()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("loader", [None, dynamic(shuffle=True)])
def test_a_training_function_gets_the_network_as_its_author_made_it(loader):
    words, mask, _ = sentences(60, 1)
    unlabelled = {"input_ids": words, "attention_mask": mask}
    problem = Problem(Reader, loader, train=fit, unlabelled=unlabelled)
    for settings in ({}, {"narrow": lambda: Reader(5), "width_ratio": 0.5}):
        found = thalweg.quantify(problem, dynamic(40, 2), budget=2.0, draws=5, **settings)
        assert found.predictions.log_probs.shape == (5, 40, 3)
    plain = problem.build("anchor", 0)
    plain.load_state_dict(problem.anchor(0).params)
    assert torch.equal(
        thalweg.predict(problem, problem.anchor(0), SENTENCES).log_probs[0],
        plain.eval()(**SENTENCES).log_softmax(1),
    )


def test_a_training_function_and_several_inputs_without_a_training_set():
    (a, b), _, y = PAIRS["two inputs"].data(120, 0)

    def train(module, seed):
        optimizer = torch.optim.SGD(module.parameters(), lr=0.01)
        for part in torch.randperm(120, generator=torch.Generator().manual_seed(seed)).split(30):
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(a[part], other=b[part]), y[part]).backward()
            optimizer.step()

    for unlabelled in (NUMBERS, [(NUMBERS, y[:40])], [[list(NUMBERS), y[:40]]]):
        problem = Problem(Both, train=train, unlabelled=unlabelled)
        found = thalweg.predict(problem, problem.anchor(0), NUMBERS)
        assert found.inputs == 40 and len(problem.inputs(7)[1]) == 7


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_quantify_of_dictionaries_with_labels():
    problem = Problem(Reader, dynamic(shuffle=True), RECIPE, unlabelled=dynamic(60, 1))
    found = thalweg.quantify(
        problem, dynamic(40, 2), budget=2.0, draws=5, narrow=lambda: Reader(5), width_ratio=0.5
    )
    assert found.predictions.log_probs.shape == (5, 40, 3) and found.transfer is not None


def test_loaders_of_several_inputs():
    """What torch's own collation makes of ((a, b), label), of which it gives lists."""
    pair = PAIRS["two inputs"]
    (a, b), _, y = pair.data(120, 0)
    examples = [((a[i], b[i]), y[i]) for i in range(120)]
    problem = Problem(Both, DataLoader(examples, 30, shuffle=True), RECIPE)
    asked = pair.asked()
    listed = [[part[:25] for part in asked], [part[25:] for part in asked]]
    pairs = DataLoader([((one, other), 0) for one, other in zip(*asked, strict=True)], 10)
    expected = thalweg.predict(problem, problem.anchor(0), asked)
    for given in (listed, pairs, tuple(part.numpy() for part in asked)):
        found = thalweg.predict(problem, problem.anchor(0), given)
        assert torch.allclose(found.log_probs, expected.log_probs, atol=1e-6)
    assert len(problem.inputs(50)) == 2 and len(problem.inputs(50)[0]) == 50


def test_a_network_that_reads_its_inputs_as_one_argument():
    class Whole(Both):
        def forward(self, batch):
            return super().forward(batch["one"], batch["other"])

    class AsTuple(Both):
        def forward(self, parts):
            return super().forward(*parts)

    pair = PAIRS["two inputs"]
    (a, b), _, y = pair.data(120, 0)
    expected = pair.problem().anchor(0)
    for model, inputs in ((Whole, {"one": a, "other": b}), (AsTuple, (a, b))):
        problem = Problem(model, thalweg.Batches(inputs, y, 30), RECIPE)
        equal(problem.anchor(0).params, expected.params)


def test_lazy_layers_get_their_sizes():
    class Lazy(Both):
        def __init__(self):
            super().__init__()
            self.second = nn.LazyLinear(10)

    (a, b), _, y = PAIRS["two inputs"].data(120, 0)
    problem = Problem(Lazy, thalweg.Batches((a, b), y, 30), RECIPE)
    assert problem.anchor(0).params["second.weight"].shape == (10, 3)


class Ordered(dict):
    """As the outputs of language models' libraries: by name and by attribute."""

    def __getattr__(self, name):
        return self[name]


@pytest.mark.parametrize(
    ("wrap", "settings"),
    [
        (lambda z: Answer(z, z), {}),
        (lambda z: {"logits": z}, {}),
        (lambda z: Ordered(loss=z[0], logits=z), {}),
        (lambda z: Answer(-z, z), {"pick": "states"}),
        (lambda z: {"scores": z, "logits": -z}, {"pick": "scores"}),
        (lambda z: (z,), {"pick": 0}),
        (lambda z: [-z, z], {"outputs": -1}),
        (lambda z: Answer(-z, z), {"outputs": "states"}),
        (lambda z: (-z, (z, z)), {"pick": lambda given: given[1][0]}),
        (lambda z: (-z, (z, z)), {"outputs": lambda given: given[1][0]}),
        (lambda z: (-z[:, 0], z), {"pick": 1, "outputs": None}),
        (lambda z: z, {"pick": "logits"}),
    ],
)
def test_what_is_picked(wrap, settings):
    class Wrapped(Both):
        def forward(self, x):
            return wrap(super().forward(x[:, :4].contiguous(), x[:, 4:].contiguous()))

    _, x, y = PAIRS["two inputs"].data(120, 0)
    problem = Problem(Wrapped, thalweg.Batches(x, y, 30), RECIPE, **settings)
    equal(problem.anchor(0).params, PAIRS["two inputs"].problem(twin=True).anchor(0).params)
    assert problem.outputs == thalweg.Classes()


def test_outputs_that_are_several_in_training_alone():
    class Auxiliary(WithStates):
        def forward(self, x):
            states, logits = super().forward(x)
            return (logits, states) if self.training else logits

    x, y = PAIRS["a tuple of outputs"].data(120, 0)[1:]
    problem = Problem(Auxiliary, thalweg.Batches(x, y, 30), RECIPE, pick=0)
    equal(problem.anchor(0).params, PAIRS["a tuple of outputs"].problem().anchor(0).params)


def test_plain_networks_have_no_hooks():
    network = PAIRS["two inputs"].problem(twin=True).build("network")
    assert not network._forward_hooks and not network._forward_pre_hooks


def test_a_network_can_still_be_called_as_its_author_meant_it():
    problem = PAIRS["a dictionary"].problem()
    network, x = problem.network(problem.anchor(0)).eval(), PAIRS["a dictionary"].asked()
    assert torch.equal(network(**x), network(x))
    assert torch.equal(network(x["input_ids"], x["attention_mask"]), network(x))


class Kept(dict):
    def put(self, key, weights, cost):
        self[key] = weights, cost


def test_what_is_picked_is_part_of_the_fingerprint():
    def problem(pick, **settings):
        return replace(PAIRS["a tuple of outputs"], pick=pick).problem(**settings)

    picks = [1, lambda given: given[1], lambda given: given[-1], None]
    made = [problem(pick) for pick in picks[:-1]]
    made.append(PAIRS["a tuple of outputs"].problem(twin=True))
    assert len({one.fingerprint(0) for one in made}) == 4
    assert problem(1).fingerprint(0) == problem(1).fingerprint(0)
    shelf = Kept()
    lock = open(__file__)  # noqa: SIM115  nothing tells it from another
    with lock, pytest.warns(UserWarning, match="the pick holds something that can't be told"):
        problem(lambda given: given[1 + 0 * bool(lock)], cache=shelf, identity="x").anchor(0)
    assert not shelf


def fewer(x, key="attention_mask"):
    return {name: part for name, part in x.items() if name != key}


SENTENCES = PAIRS["a dictionary"].asked()
NUMBERS = PAIRS["two inputs"].asked()
NEEDED = "needs a dictionary of tensors named attention_mask, input_ids"
WRONG = {
    "a key is missing": ("a dictionary", fewer(SENTENCES), f"named input_ids, {NEEDED}"),
    "another key": ("a dictionary", {**SENTENCES, "idx": torch.arange(40)}, f"idx, .*{NEEDED}"),
    "one tensor for several": ("a dictionary", SENTENCES["input_ids"], f"one tensor, {NEEDED}"),
    "a loader without a key": ("a dictionary", [fewer(SENTENCES)], NEEDED),
    "parts of other lengths": (
        "a dictionary",
        {**SENTENCES, "input_ids": SENTENCES["input_ids"][:39]},
        "needs one or more tensors .* equally many rows",
    ),
    "no parts": ("a dictionary", {}, "parts none|empty"),
    "no rows": (
        "a dictionary",
        {k: v[:0] for k, v in SENTENCES.items()},
        "empty|one input or more",
    ),
    "words": ("a dictionary", {**SENTENCES, "input_ids": ["a"] * 40}, "needs a tensor or an array"),
    "three tensors": (
        "two inputs",
        (*NUMBERS, NUMBERS[0]),
        "a tuple of 3 tensors, needs a tuple of 2",
    ),
    "one of two": ("two inputs", NUMBERS[0], "one tensor, needs a tuple of 2 tensors"),
    "names for a tuple": ("two inputs", [dict(zip("ab", NUMBERS, strict=True))], "dictionary"),
    "not a number in the second": (
        "two inputs",
        (NUMBERS[0], NUMBERS[1].clone().fill_(float("nan"))),
        "NaN|not finite",
    ),
    "a tuple for a tensor": ("a tuple of outputs", [(NUMBERS, 0)], "needs a tensor or a pair"),
}


@pytest.mark.parametrize("ask", ["predict", "quantify"])
@pytest.mark.parametrize("case", WRONG)
def test_inputs_that_are_wrong(case, ask):
    pair, given, match = WRONG[case]
    problem = PAIRS[pair].problem()
    with pytest.raises(InputError, match=match) as caught:
        if ask == "predict":
            thalweg.predict(problem, thalweg.Weights.of(problem.build("x")), given)
        else:
            thalweg.quantify(problem, given, draws=5)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500
    assert problem.cost.backward_examples == 0


X, _, Y = PAIRS["a dictionary"].data(40, 0)
A, B = NUMBERS
BAD = {
    "no labels": (Reader, [X], {}, r"dictionary with keys .*, or the targets as 'labels': wrap"),
    "text in a batch": (
        Reader,
        [{**X, "text": ["a"] * 40, "labels": Y}],
        {},
        "inputs with a list at 'text', needs a tuple or a dictionary of tensors: take out",
    ),
    "a key that the network does not know": (
        Reader,
        [{**X, "idx": Y, "labels": Y}],
        {},
        "can't evaluate inputs of shape .*'idx'.*unexpected keyword argument 'idx'",
    ),
    "rows": (
        Reader,
        [{**X, "input_ids": X["input_ids"][:9], "labels": Y}],
        {},
        "equally many rows",
    ),
    "rows of labels": (Reader, [{**X, "labels": Y[:9]}], {}, r"labels \(9,\)"),
    "not a number": (Both, [((A, B / 0), Y)], {}, "NaN or infinite"),
    "too many inputs": (Both, [((A, B, B), Y)], {}, "takes 3 positional arguments but 4"),
    "batches": (
        Both,
        thalweg.Batches((A, B), Y, 10),
        {"pick": 3.5},
        "pick got a float, needs a name",
    ),
    "twice": (Both, [((A, B), Y)], {"pick": 0, "outputs": "x"}, "outputs and pick both say"),
    "a boolean": (Both, [((A, B), Y)], {"pick": True}, "pick got a bool"),
    "outputs are a number": (Both, [((A, B), Y)], {"outputs": 0.5}, "outputs got a float"),
    "no such name": (
        Reader,
        [{**X, "labels": Y}],
        {"pick": "scores"},
        "output is Answer without 'scores', with logits, states, loss: say which",
    ),
    "nothing that is called logits": (
        WithStates,
        [(PAIRS["a tuple of outputs"].asked(), Y)],
        {},
        r"output is tuple, with \(2, 10\), \(2, 3\): say which",
    ),
    "no such part": (
        WithStates,
        [(PAIRS["a tuple of outputs"].asked(), Y)],
        {"pick": 2},
        r"output is tuple without 2, with \(2, 10\), \(2, 3\)",
    ),
    "something else": (Reader, [{**X, "labels": Y}], {"pick": "states"}, r"\(2, 7, 10\) for 2"),
    "no tensor": (
        Reader,
        [{**X, "labels": Y}],
        {"pick": "loss"},
        "output is Answer without 'loss'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_problems_that_are_wrong(case):
    model, loader, settings, match = BAD[case]
    with pytest.raises(InputError, match=match) as caught:
        Problem(model, loader, RECIPE, **{"sources": ("init",), **settings})
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_a_later_batch_without_a_key():
    good = {**X, "labels": Y}
    loader = [good, good]
    problem = Problem(Reader, loader, RECIPE, sources=("init",))
    loader[1] = fewer(good)
    with pytest.raises(InputError, match=NEEDED):
        problem.anchor(0)


@pytest.mark.parametrize("inputs", [
    {"a": A, "b": B[:7]}, (A, B[:7]), {}, (A, torch.tensor(1.0)), {"a": A[:9], "b": B[:9]},
])  # fmt: skip
def test_batches_that_are_wrong(inputs):
    with pytest.raises(InputError, match=r"rows|as many of both"):
        thalweg.Batches(inputs, Y, 10)


def test_augmentation_is_for_one_tensor():
    with pytest.raises(InputError, match="augment beside inputs of several tensors"):
        thalweg.Batches((A, B), Y, 10, augment=lambda x, _: x)


def test_arrays_in_batches():
    batches = thalweg.Batches({"a": A.numpy(), "b": np.asarray(B)}, Y.numpy(), 10, shuffle=False)
    x, _ = next(iter(batches))
    assert torch.equal(x["a"], A[:10]) and torch.equal(x["b"], B[:10])
    assert batches.reseeded(1, 2).inputs is batches.inputs


def test_ragged_batches_without_a_mask_are_refused():
    loader = [
        ({"input_ids": part}, Y[:10]) for part in (X["input_ids"][:10], X["input_ids"][:10, :4])
    ]
    problem = Problem(Reader, loader, RECIPE, sources=("init",))
    with pytest.raises(InputError, match=r"shapes \(7,\) and \(4,\), which can't be put together"):
        problem.inputs(20)
    assert LENGTH == 7
