"""The glossary: what every heading of thalweg's tables and every word of its pages means.

Figures of studies have a table of facts of their own (`thalweg.metrics.info`), by which they are computed
and shown; everything else is here. `tests/test_glossary.py` holds both to the tables.
"""

from thalweg.errors import unknown
from thalweg.metrics.info import FACTS, explain

TERMS: dict[str, str] = {
    # words of the method
    "anchor": "A fully trained network that a method starts from. It costs 1 training.",
    "training": "One full run of the recipe from a fresh initialisation, with its own order of batches and augmentation. It costs 1, the unit of cost.",
    "retraining": "Another training by the same recipe on the same data: what would be had if the network were trained again.",
    "recipe": "How a network is trained: epochs, rate and schedule, optimiser, batch size, augmentation.",
    "explorer": "A method that turns a trained network, or a recipe, into a distribution over weights.",
    "emulator": "A method that learns from the predictions of one or more networks on unlabelled inputs what one more training would predict, and draws such predictions.",
    "baseline": "A published method that stands beside the explorers for comparison, such as an ensemble inside one network.",
    "base": "What a method starts from in a study: a seed with anchors of its own. Each method starts from several, and its row is the mean over them.",
    "reference": "Retrainings that no method may see: the truth that a study judges methods by.",
    "pool": "Retrainings of which the deep ensembles of 1, 2, 3, 5, 10 and 20 members are drawn, the scale on which K_u is read.",
    "member": "One network of an ensemble, or one draw of what a training would predict.",
    "draw": "One simulated training: what an emulator, or a sample of weights, predicts for all inputs.",
    "narrow copy": "The same network with fewer hidden channels, trained by the same recipe: a cheap retraining.",
    "width ratio": "The hidden channels of a narrow copy over those of the network.",
    "budget": "Trainings that may be spent beyond the networks that are there, in units of one training. In a statement, the budget of uncertainty is the table of its components.",
    "u": "Standard uncertainty over retrainings: the standard deviation of what trainings by the same recipe predict, in the units of the values. Of several outputs or classes, one number is the root of the summed squares.",
    "outside": "Whether an input is unlike all inputs that the method was calibrated on; u is a guess there.",
    "the atlas": "The retrainings of many tasks, and what was learned from them for a new one.",
    "level of the atlas": "The mean of u over unlabelled inputs with its interval, as the emulator knows it.",
    "check": "The comparison of a network with its narrow copies: where they are unlike, the network was trained by another recipe than the one that was told.",
    # headings of studies
    "method": "The explorer, baseline or emulator of a row, with its settings.",
    "cell": "A data set and a kind of network, with one recipe: a place in the matrix of studies.",
    "training images": "How many labelled images each network was trained on.",
    "epochs": "How often a training passes over its training inputs.",
    "no.": "The number of a method, by which figures and tables name it.",
    "cost": "Training cost: network evaluations with a backward pass over those of one full training. Networks that were given count 1 each.",
    "total": "Total cost: as cost, with forward evaluations at a third each. Efficiencies are computed from it.",
    "K_eq": FACTS["k_eq"].definition,
    "K_u": FACTS["k_u"].definition,
    "spread": "The members' u over that of retrainings; 1 is best.",
    "cover": "The share of retrainings' probabilities or values inside the members' 95 % interval; 0.95 is best.",
    "acc": "Accuracy: the share of test inputs whose most probable class by the mean prediction is the label.",
    # headings of commands
    "path": "Between which networks a path of weights goes.",
    "losses at the ends (nats)": "The training loss of the two networks at the ends of a path.",
    "barrier (nats)": "How far the loss along a path rises above the straight line between the losses at its ends.",
    "highest loss (nats)": "The highest training loss along a path.",
    "highest training error": "The highest share of wrong answers on training inputs along a path.",
    "ends disagree on": "The share of inputs on which the networks at the ends of a path give different answers.",
    "what it is": "A method in one sentence, with its source.",
    "settings": "The settings of a method, with what they are if nobody gives them.",
    "data set": "The name by which plans and `thalweg.data.load` know a data set.",
    "what it shows": "What the inputs of a data set are.",
    "classes": "How many classes there are; 'values' of a regression.",
    "train": "How many training inputs there are.",
    "test": "How many test inputs there are.",
    "source": "Where data, a definition or a component of uncertainty comes from.",
    # headings of statements
    "input": "The name or number of an input. In the list of data sets, the shape of an input: channels, height, width.",
    "output": "The class or output that a row is about: of classes the most probable one.",
    "decision_output": "The class or output that the decision and its risk are about; the row may be of another one.",
    "stated": "The estimate with its standard uncertainty in parentheses, in units of the last digits (GUM 7.2.2).",
    "estimate": "The mean over trainings, or the prediction of the network in use where it was given.",
    "measurand": "What the uncertainty is about: what one more training by this recipe would predict, or the mean of what all would.",
    "u_c": "Combined standard uncertainty: the root of the sum of the squares of the components that belong to the measurand.",
    "u_retraining": "The component from training again: the standard deviation over trainings.",
    "u_finite": "The component from the finite number of networks and of draws.",
    "u_method": "The component from the method itself, such as an emulator's uncertain level; empty where nobody knows it.",
    "u_deviation": "How far the network in use is from the mean, where its prediction is the estimate.",
    "freedom": "Effective degrees of freedom of u_c, by the Welch-Satterthwaite formula (GUM G.4.1).",
    "k": "Coverage factor: Student's for the degrees of freedom and the coverage probability, or the one that was given. In studies, the number of trainings.",
    "U": "Expanded uncertainty, k times u_c.",
    "low": "The lower end of the probabilistically symmetric coverage interval of the measurand (JCGM 101, 7.7.2).",
    "high": "The upper end of the same.",
    "shortest_low": "The lower end of the shortest coverage interval (JCGM 101, 7.7.4).",
    "shortest_high": "The upper end of the same.",
    "iqv": "Index of qualitative variation, C / (C - 1) (1 - sum p^2) of C classes: 0 where one class is certain, 1 where all are equally probable.",
    "cnv": "Coefficient of nominal variation, 1 - sqrt(1 - IQV).",
    "entropy": "Shannon's entropy of the mean prediction, - sum p log p, in nats.",
    "evenness": "Entropy over its largest value, log C.",
    "vr": "Variation ratio: 1 less the largest probability.",
    "mutual_information": "The entropy of the mean prediction less the mean entropy of trainings, in nats: what trainings disagree on.",
    "disagreement": "The share of trainings whose most probable class is another than that of the mean.",
    "u_iqv": "The standard deviation over trainings of the index of qualitative variation of one training.",
    "u_cnv": "The same of the coefficient of nominal variation.",
    "u_entropy": "The same of the entropy, in nats.",
    "u_evenness": "The same of the evenness.",
    "u_vr": "The same of the variation ratio.",
    "decision": "accept, reject, or defer to a human, by the tolerance (JCGM 106).",
    "conformance": "The probability that the measurand is within the tolerance limits (JCGM 106, 7).",
    "risk": "The specific risk of the decision: of false acceptance or of false rejection (JCGM 106, 9.3).",
    "flags": "What to know before the numbers are used: outside, check (of the recipe, failed), boundary (estimate +- U leaves 0..1, take the interval), zero (all members agree to the last digit).",
    "guard band": "How far an estimate must be inside the tolerance limits to be accepted: a multiple of U, or what a risk asks for.",
    "component": "One contribution to the combined uncertainty: retraining, networks, draws, method or deviation.",
    "share": "The share of a component or a source in the variance.",
    "type": "How a component was evaluated: A by statistical analysis of networks, B otherwise (GUM 3.3.5).",
    "effect": "Of a row in a budget of sources: main, interaction, total effect (a source with its interactions) or remainder.",
    "variance": "An estimated variance component, in squared units; an estimate may be negative.",
    "dof": "Degrees of freedom of u.",
    "basis": "What a component rests on.",
}


def told(word: str) -> str:
    """What a word or heading means, for the command line.

    Args:
        word: A term of this glossary, or the name, symbol or title of a figure of studies. Case,
            underscores and hyphens make no difference where there is no other such word.

    Raises:
        InputError: There is no such word; the error suggests the nearest.

    Example:
        >>> print(told("Pool").split(":")[0])
        pool
    """
    for same in (str, _plain):
        wanted = same(word)
        for name in FACTS:
            if same(name) == wanted:
                return explain(name)
        for term, meaning in TERMS.items():
            if same(term) == wanted:
                return f"{term}: {meaning}"
        for name, fact in FACTS.items():
            if wanted in (same(fact.symbol), same(fact.title)):
                return explain(name)
    raise unknown("word", word, {*TERMS, *FACTS})


def _plain(word: str) -> str:
    return " ".join(
        part
        for part in word.casefold().replace("_", " ").replace("-", " ").split()
        if part not in ("the", "of")
    )
