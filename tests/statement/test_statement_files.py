"""Statements as files: what is written is read back, and damage or another's file is refused."""

import json

import pandas as pd
import pytest
import torch

import thalweg
from thalweg.errors import InputError
from thalweg.glossary import TERMS
from thalweg.predictions import Predictions
from thalweg.sources import Design, budget_of
from thalweg.statement import SourceRow
from thalweg.statement.sources import rows_of
from thalweg.statement.words import EN, FR, LANGUAGES, words


def statement(**settings):
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 9, 3, generator=random, dtype=torch.float64)
    rows = [
        SourceRow("init", 0.1, freedom=4, share=0.6, low=0.05, high=0.2),
        SourceRow("order", 0.1),
    ]
    wanted = {
        "tolerance": thalweg.Tolerance(low=0.5),
        "labels": torch.arange(9) % 3,
        "pictures": torch.rand(9, 8, 8, generator=random),
        "sources": rows,
        "columns": ["a", "b", "c"],
        "network": 1,
        **settings,
    }
    return thalweg.state(logits, kind="logits", **wanted)


def regression():
    random = torch.Generator().manual_seed(1)
    values = 10 + torch.randn(4, 7, 2, generator=random)
    outputs = thalweg.Values(units="mg/l")
    return thalweg.state(values, kind="values", outputs=outputs, columns=["Na", "K"])


@pytest.mark.parametrize("make", [statement, regression])
def test_a_folder_holds_all_of_it(make, tmp_path):
    made = make()
    made.save(tmp_path / "kept")
    again = thalweg.read_statement(tmp_path / "kept")
    pd.testing.assert_frame_equal(again.table(), made.table())
    pd.testing.assert_frame_equal(again.table("column"), made.table("column"))
    assert torch.equal(again.values, made.values) and str(again) == str(made)
    assert again.identity == made.identity and again.units == made.units
    for shape in ("rectangle", "ellipsoid"):
        inside = [own.region(shape).contains(made.values[0]) for own in (made, again)]
        assert torch.equal(*inside)
    if made.pictures is not None:
        assert torch.equal(again.pictures, made.pictures)
        assert again.deferral().risk.tolist() == made.deferral().risk.tolist()
        assert [row.facts() for row in again.sources] == [row.facts() for row in made.sources]


def test_json_is_for_other_programs(tmp_path):
    made = statement()
    made.to_json(tmp_path / "s.json")
    text = (tmp_path / "s.json").read_text()
    record = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert record["units"] == "" and record["outputs"] == {"kind": "classes"}
    assert record["identity"]["versions"]["torch"] == torch.__version__
    assert len(record["identity"]["predictions_sha256"]) == 64
    assert record["stated"][0] == made.text(0)
    again = thalweg.read_statement(tmp_path / "s.json")
    pd.testing.assert_frame_equal(again.table(), made.table())
    with pytest.raises(InputError, match="without its members"):
        again.region("ellipsoid")


def test_damage_and_strangers_are_refused(tmp_path):
    one, other = statement(), statement(level=0.9)
    one.save(tmp_path / "one")
    other.save(tmp_path / "other")
    file = tmp_path / "one/statement.json"
    file.write_text(file.read_text().replace('"level": 0.95', '"level": 0.99'))
    with pytest.raises(InputError, match="damaged"):
        thalweg.read_statement(tmp_path / "one")
    from thalweg import files

    files.write_record(file, {"status": "ok"})
    with pytest.raises(InputError, match="holds no statement"):
        thalweg.read_statement(file)
    tensors = {"values": torch.zeros(2, 9, 3, dtype=torch.float64)}
    files.write_tensors(tmp_path / "other/members.safetensors", tensors, {"of": "x"})
    with pytest.raises(InputError, match="of another statement"):
        thalweg.read_statement(tmp_path / "other")


def test_tables_as_files(tmp_path):
    made = regression()
    made.to_csv(tmp_path / "s.csv")
    made.to_parquet(tmp_path / "s.parquet")
    table = made.table()
    assert len(table) == 14 and list(table["output"][:2]) == ["Na", "K"]
    read = pd.read_csv(tmp_path / "s.csv", keep_default_na=True)
    assert list(read.columns) == list(table.columns)
    assert read["U"].tolist() == pytest.approx(table["U"].tolist())
    from pyarrow import parquet

    stored = parquet.read_table(tmp_path / "s.parquet")
    assert json.loads(stored.schema.metadata[b"thalweg"])["identity"]["units"] == "mg/l"
    assert stored.to_pandas()["u_c"].tolist() == table["u_c"].tolist()


def test_table_in_closed_form():
    made = statement()
    table = made.table("column")
    assert len(table) == 27
    total = table["u_retraining"] ** 2 + table["u_finite"] ** 2 + table["u_deviation"] ** 2
    assert (total**0.5).tolist() == pytest.approx(table["u_c"].tolist())
    assert (table["k"] * table["u_c"]).tolist() == pytest.approx(table["U"].tolist())
    assert table["u_method"].isna().all()


def test_netcdf(tmp_path):
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("h5py")
    made = regression()
    made.to_netcdf(tmp_path / "s.nc")
    with xarray.open_dataset(tmp_path / "s.nc", engine="h5netcdf") as found:
        assert dict(found.sizes) == {"draw": 4, "input": 7, "output": 2}
        assert found["estimate"].attrs["units"] == "mg/l"
        assert found["prediction"].dims == ("draw", "input", "output")
        assert found["U"].values.tolist() == made.expanded.tolist()
        assert found.attrs["inference_library"] == "thalweg"
        assert list(found["output"].values) == ["Na", "K"]


def test_netcdf_without_its_extra(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "h5netcdf", None)
    with pytest.raises(InputError, match=r"pip install 'thalweg\[netcdf\]'"):
        regression().to_netcdf(tmp_path / "s.nc")
    assert not list(tmp_path.iterdir())


def test_every_column_is_in_the_glossary():
    for made in (statement(), regression()):
        assert set(made.table().columns) <= set(TERMS)


def test_both_languages_have_the_same_words():
    assert EN.keys() == FR.keys()
    import string

    for key in EN:
        fields = [
            {name for _, name, _, _ in string.Formatter().parse(own[key]) if name}
            for own in LANGUAGES.values()
        ]
        assert fields[0] == fields[1], key
    with pytest.raises(InputError, match="unknown language 'de'"):
        words("de")


def test_sources_from_a_table():
    class Budget:
        def table(self):
            return pd.DataFrame(
                {
                    "source": ["init", "order", "dropout"],
                    "u": [0.1, None, 0.0],
                    "dof": [4.0, 4.0, float("inf")],
                    "share": [0.9, 0.2, -0.1],
                    "type": ["A", "A", "B"],
                }
            )

    made = statement(sources=Budget())
    assert [row.name for row in made.sources] == ["init", "dropout"]
    assert made.sources[0].freedom == 4 and made.sources[1].share == -0.1
    with pytest.raises(InputError, match="needs source and u"):
        statement(sources=pd.DataFrame({"name": ["init"]}))


def test_what_it_says_in_words():
    made = statement()
    said = str(made)
    assert "what one more training by the same recipe would predict" in said
    assert "prediction of the network in use" in said and "5 trained networks" in said
    shares = [made.decision.share(word) for word in ("accept", "reject", "defer")]
    assert sum(shares) == pytest.approx(1) and f"{100 * shares[0]:.0f}" in said
    for what in ("estimates", "u", "pictures", "budget", "deferral"):
        figure = made.plot(what)
        assert figure.axes
    with pytest.raises(InputError, match="did you mean 'budget'"):
        made.plot("budgets")
    with pytest.raises(InputError, match="needs the inputs as images"):
        regression().plot("pictures")


def test_sources_from_a_budget_are_its_rows_without_the_sum():
    design = Design.of(("init", "order"), 16, "latin")
    random = torch.Generator().manual_seed(0)
    values = torch.randn(design.trainings, 3, 1, generator=random, dtype=torch.float64)
    budget = budget_of(Predictions.from_values(values), design)
    same = rows_of(budget, 3)
    assert [row.name for row in same] == [row.name for row in budget.rows]
    assert "all" not in [row.name for row in same]
    for row, own in zip(same, budget.rows, strict=True):
        assert torch.equal(torch.as_tensor(row.u), own.u.double()) and row.share == own.share
    elsewhere = rows_of(budget, 5)  # other inputs: what a source brings on average
    assert all(torch.as_tensor(row.u).numel() == 1 for row in elsewhere)
    assert elsewhere[0].mean == pytest.approx(budget.rows[0].mean_u.value)
