import pytest

from thalweg.errors import InputError
from thalweg.metrics.info import FACTS, explain


def test_every_fact_is_whole():
    for name, fact in FACTS.items():
        assert fact.name == name
        assert all((fact.title, fact.symbol, fact.definition, fact.source))
        assert f"{1.5:{fact.digits}}"
        assert name in explain(name)
        assert fact.definition in explain(name)


def test_an_unknown_metric_suggests_the_nearest():
    with pytest.raises(InputError, match="did you mean 'k_eq'"):
        explain("keq")
