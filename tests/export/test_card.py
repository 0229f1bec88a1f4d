"""What export writes of a run on the card: sources of all runs it went on from, teachers, noise, commit, command."""

import json

import numpy as np
import pytest
import soundfile

from watchword.data.store import Store
from watchword.export.card import background, run_card, source_commit, teachers
from watchword.train.checkpoint import load_checkpoint
from watchword.train.recipe import Recipe


@pytest.fixture(scope="module")
def state(run):
    return load_checkpoint(run / "checkpoints" / "00000003.pt")


def test_purpose_command_and_commit_are_on_the_card(recipe, run, state):
    stated = recipe.model_copy(update={"reproduce": "scripts/make_it"})
    card = run_card(stated, state, run, Store(recipe.data.store))
    assert card["purpose"]["for"]
    assert card["languages"] == ["en"]
    assert card["reproduce"] == {"command": "scripts/make_it", "seed": recipe.seed, **source_commit()}
    assert run_card(recipe, state, run, Store(recipe.data.store))["reproduce"]["command"] is None
    assert card["teachers"] == []


def test_sources_are_those_of_the_runs_before_too(recipe, run, state, segments, tmp_path):
    """A run that went on from another learned from what that one heard."""
    from dataclasses import replace

    from watchword.data.store import pack

    fewer = [replace(s, corpus="more" if n < 3 else s.corpus) for n, s in enumerate(segments[:8])]
    store = pack(fewer, tmp_path / "store", workers=1)
    onward = recipe.model_dump() | {"name": "onward"}
    onward["train"]["init_from"] = str(run / "checkpoints" / "00000003.pt")
    onward["data"]["store"] = str(tmp_path / "store")
    card = run_card(Recipe.model_validate(onward), state, run, store)
    clips = {source["corpus"]: source["clips"] for source in card["data"]}
    assert clips == {"more": 3, "tones": 30}
    assert card["training"]["began_from"]["steps"] == 3


def test_sources_are_those_of_the_teacher_as_well_as_of_the_run_before(recipe, run, state, segments, tmp_path):
    """A run that goes on from one and learns from another has heard, in the end, what both heard."""
    from dataclasses import replace

    from watchword.data.store import pack

    stores = {
        name: pack([replace(s, corpus=name) for s in segments[:count]], tmp_path / name, workers=1)
        for name, count in (("own", 4), ("teachers", 6))
    }
    larger = recipe.model_dump() | {"name": "larger"}
    larger["data"]["store"] = str(tmp_path / "teachers")
    (tmp_path / "larger").mkdir()
    (tmp_path / "larger" / "recipe.json").write_text(json.dumps(Recipe.model_validate(larger).model_dump(mode="json")))
    narrow = recipe.model_dump() | {"name": "narrow"}
    narrow["data"]["store"] = str(tmp_path / "own")
    narrow["train"]["init_from"] = str(run / "checkpoints" / "00000003.pt")
    narrow["train"]["distil_from"] = str(tmp_path / "larger" / "checkpoints" / "00000001.pt")
    card = run_card(Recipe.model_validate(narrow), state, run, stores["own"])
    assert {source["corpus"]: source["clips"] for source in card["data"]} == {"own": 4, "teachers": 6, "tones": 30}


def test_teachers_are_named_with_what_they_did(recipe):
    table = recipe.model_dump()
    table["model"]["acoustic"]["front"] = "speech_embedding"
    table["data"]["synthesis"] = {"texts": ["a"], "clips": 1, "engines": {}, "reject_above": 0.5}
    taught = recipe.model_copy(update={"model": recipe.model.model_copy(update={"teacher": True})})
    names = [(teacher["name"], teacher["role"].split()[0]) for teacher in teachers([recipe, taught])]
    assert names == [("speech_embedding", "frames")]
    told = teachers([Recipe.model_validate(table)] * 2)
    assert [teacher["name"] for teacher in told] == ["speech_embedding", "hama"]
    assert all(teacher["licence"] and teacher["role"] for teacher in told)
    table["train"]["front_weights"] = False
    assert [teacher["name"] for teacher in teachers([Recipe.model_validate(table)])] == ["hama"]


def test_noise_is_listed_by_whose_it_is(recipe, tmp_path):
    for name in ("precise_1.wav", "precise_2.wav", "mine.wav"):
        soundfile.write(tmp_path / name, np.zeros(16000), 16000)
    table = recipe.model_dump()
    table["data"]["noise"] = str(tmp_path)
    table["augment"]["enabled"] = True
    noisy = Recipe.model_validate(table)
    found = {source["licence"]: (source["clips"], source["hours"]) for source in background([noisy, noisy])}
    assert found == {"public domain": (2, pytest.approx(2 / 3600, abs=1e-3)), "": (1, pytest.approx(0, abs=1e-3))}
    assert background([recipe]) == []
