"""A run is exported with what it knows of itself: recipe, time, data, figures; in float32 and in 8 bits."""

import json

import numpy as np
import onnx
import pytest
import torch

from watchword.bundle import Bundle, BundleError
from watchword.cli import main
from watchword.data.store import Store
from watchword.export import ExportError, export
from watchword.export.card import last_validation, seconds_per_phoneme
from watchword.export.graphs import exportable
from watchword.export.int8 import loss_points
from watchword.export.measuring import (
    FALLBACK_THRESHOLD,
    choose_threshold,
    embed_clips,
    embed_texts,
    store_trials,
    validation_trials,
)
from watchword.export.parity import Sessions
from watchword.model.baselines import build_model
from watchword.runtime.spans import ScanSettings
from watchword.train.checkpoint import CheckpointError, load_checkpoint
from watchword.train.experiment import Experiment, held_out
from watchword.train.runs import RunError


@pytest.fixture(scope="module")
def bundle(run, tmp_path_factory):
    return export(run, tmp_path_factory.mktemp("bundles") / "tones")


def test_a_card_tells_the_run(bundle, recipe, run):
    card = Bundle.load(bundle.path).card
    assert card["name"] == "tones"
    assert card["recipe"] == recipe.model_dump(mode="json")
    assert (card["training"]["steps"], card["training"]["steps_planned"]) == (3, 3)
    assert card["training"]["wall_seconds"] > 0
    assert card["training"]["cpu_seconds"] > 0
    (source,) = card["data"]
    assert (source["corpus"], source["licence"], source["clips"]) == ("tones", "CC0", 30)
    assert card["metrics"]["validation_in_training"] == last_validation(run / "log.jsonl", 3)["validation_in_training"]
    assert card["limits"]


def test_figures_through_onnxruntime_are_those_of_torch(recipe, run, tmp_path):
    bundle, experiment = export(run, tmp_path / "floats", quantised=False), Experiment(recipe)
    experiment.model.load_state_dict(load_checkpoint(run / "checkpoints" / "00000003.pt")["model"])
    experiment.model = exportable(experiment.model)
    validation = experiment.validation
    trials, sessions = validation_trials(validation), Sessions(bundle.path)
    ours = embed_clips(sessions, trials.clips, *bundle.clip_silence_seconds)
    np.testing.assert_allclose(ours, experiment.embed_clips(list(validation.audio())), atol=1e-4)
    texts = embed_texts(sessions, trials.phonemes)
    np.testing.assert_allclose(texts, experiment.embed_texts(validation.pairs.texts), atol=1e-3)
    assert bundle.card["metrics"]["validation"] == pytest.approx(validation.figures(ours, texts), abs=1e-4)


def test_the_threshold_lets_one_in_a_thousand_other_words_pass(bundle, recipe):
    trials, sessions = validation_trials(held_out(recipe)), Sessions(bundle.path)
    audio = embed_clips(sessions, trials.clips, *bundle.clip_silence_seconds)
    scores = trials.word_negatives(audio, embed_texts(sessions, trials.phonemes))
    assert len(scores) == 40 * 50
    assert (scores > bundle.threshold + 1e-3).sum() <= 2 <= (scores > bundle.threshold - 1e-3).sum()


def test_without_enough_trials_the_threshold_is_the_usual_one():
    assert choose_threshold(np.ones(999)) == FALLBACK_THRESHOLD
    assert choose_threshold(np.linspace(0, 1, 10_001)) == pytest.approx(0.999, abs=1e-4)


def test_without_held_out_speakers_the_threshold_lies_half_way_to_the_trained_words():
    others = np.linspace(-0.5, 0.5, 10_001)
    assert choose_threshold(others, np.array([0.8, 0.9, 1.0])) == pytest.approx((0.499 + 0.9) / 2, abs=1e-3)
    assert choose_threshold(others, np.array([0.1, 0.2, 0.3])) == choose_threshold(others)


def test_8_bits_are_measured_and_kept_only_where_they_lose_little(bundle):
    found = bundle.card["acoustic"]["int8"]
    worst = max(found["loss_points"].values())
    assert set(found["loss_points"]) == set(bundle.card["metrics"]["validation"])
    assert found["kept"] == (found["cosine_median"] >= 0.99 and worst <= 1)
    assert found["kept"] == (bundle.path / "acoustic.int8.onnx").exists()
    assert bundle.acoustic_file == ("acoustic.int8.onnx" if found["kept"] else "acoustic.onnx")
    assert (bundle.path / "acoustic.onnx").exists() != found["kept"]
    assert found["cosine_median"] > 0.99


def test_every_graph_needs_operators_of_plain_onnx_17_alone(bundle):
    assert (bundle.path / "acoustic.int8.onnx").exists()
    for path in bundle.path.glob("*.onnx"):
        graph = onnx.load(path)
        assert [(opset.domain, opset.version) for opset in graph.opset_import] == [("", 17)]
        assert graph.ir_version <= 10
        inputs = graph.graph.input[0].type.tensor_type.shape.dim
        assert inputs[1].dim_param


def test_lost_points_count_against_error_rates_and_for_the_others():
    lost = loss_points({"ap": 0.9, "easy_eer": 0.1}, {"ap": 0.89, "easy_eer": 0.12})
    assert lost == pytest.approx({"ap": 1.0, "easy_eer": 2.0})


def test_the_length_of_a_phoneme_is_measured(recipe):
    store = Store(recipe.data.store)
    each = [(i["end"] - i["start"]) / 16000 / len(store.phonemes[i["label"]]) for i in store.items]
    assert seconds_per_phoneme(store) == pytest.approx(np.median(each), abs=1e-4)
    assert 0.08 < seconds_per_phoneme(store) < 0.25


def test_an_older_checkpoint_can_be_named_and_brings_the_figures_of_its_time(run, tmp_path):
    made = export(run, tmp_path / "made", checkpoint=run / "checkpoints" / "00000002.pt", quantised=False)
    assert made.card["training"]["steps"] == 2
    assert "validation_in_training" not in made.card["metrics"]
    assert made.card["acoustic"] == {"file": "acoustic.onnx"}
    assert not (made.path / "acoustic.int8.onnx").exists()


def test_weights_can_be_the_mean_of_two_checkpoints(recipe, run, tmp_path):
    earlier = run / "checkpoints" / "00000002.pt"
    made = export(run, tmp_path / "made", average_with=[earlier], quantised=False)
    assert made.card["training"]["averaged_with"] == ["/".join(earlier.parts[-4:])]
    assert "validation_in_training" not in made.card["metrics"]
    experiment = Experiment(recipe)
    states = [load_checkpoint(path)["model"] for path in (earlier, run / "checkpoints" / "00000003.pt")]
    experiment.model.load_state_dict({name: (value + states[1][name]) / 2 for name, value in states[0].items()})
    experiment.model = exportable(experiment.model)
    trials = validation_trials(experiment.validation)
    found = embed_clips(Sessions(made.path), trials.clips, *made.clip_silence_seconds)
    np.testing.assert_allclose(found, experiment.embed_clips(list(experiment.validation.audio())), atol=1e-4)


def test_a_card_can_set_how_is_searched(run, tmp_path, capsys):
    made = export(run, tmp_path / "made", scan={"clip_weight": 0.1}, quantised=False)
    assert ScanSettings.of(made.card).clip_weight == 0.1
    with pytest.raises(BundleError, match="unknown key 'clip_wait'"):
        export(run, tmp_path / "other", scan={"clip_wait": 0.1})
    assert main(["export", str(run), str(tmp_path / "other"), "--scan", "clip_weight"]) == 2
    assert "is not KEY=VALUE, such as clip_weight=0.1" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "other").exists()


def test_another_models_weights_are_no_part_of_a_mean(run, tmp_path):
    other = tmp_path / "other.pt"
    torch.save({"model": {"weight": torch.zeros(2)}}, other)
    with pytest.raises(ExportError, match="another model"):
        export(run, tmp_path / "made", average_with=[other], quantised=False)
    assert not (tmp_path / "made").exists()


def test_trials_of_the_store_tell_a_perfect_model_from_a_random_one(recipe):
    store = Store(recipe.data.store)
    trials, rng = store_trials(store), np.random.default_rng(0)
    labels = {tuple(ids): row for row, ids in enumerate(trials.phonemes)}
    assert len(labels) == len(trials.phonemes) > 20
    assert min(map(len, trials.clips)) >= 400
    texts = np.eye(len(labels), dtype=np.float32)
    random = rng.normal(size=(len(trials.clips), len(labels))).astype(np.float32)
    assert trials.figures(random, texts)["eer"] == pytest.approx(0.5, abs=0.1)
    positives, negatives = trials.word_positives(random, texts), trials.word_negatives(random, texts)
    assert (len(positives), len(negatives)) == (len(random), len(random) * (len(labels) - 1))
    assert positives.mean() == pytest.approx(0.0, abs=0.1)


def test_a_run_without_validation_is_measured_on_its_own_words(run, tmp_path):
    copy = tmp_path / "run"
    copy.mkdir()
    stated = json.loads((run / "recipe.json").read_text())
    stated["data"]["validation"] = None
    (copy / "recipe.json").write_text(json.dumps(stated))
    made = export(copy, tmp_path / "made", checkpoint=run / "checkpoints" / "00000003.pt")
    assert set(made.card["metrics"]) == {"training_words"}
    assert -1 < made.threshold < 1
    assert set(made.card["acoustic"]["int8"]["loss_points"]) == {"ap", "eer"}


def test_the_command_prints_sizes_parity_and_what_8_bits_lose(run, tmp_path, capsys):
    assert main(["export", str(run), str(tmp_path / "made")]) == 0
    printed = capsys.readouterr().out
    assert all(part in printed for part in ("acoustic.", "MB", "largest differences: log_mel", "8 bits: "))
    assert "points lost: ap" in printed
    assert main(["export", str(run), str(tmp_path / "made")]) == 2
    assert "a bundle is here already" in capsys.readouterr().err
    assert main(["export", str(run), str(tmp_path / "made"), "--force", "--no-int8"]) == 0
    assert "8 bits" not in capsys.readouterr().out


def test_wrong_runs_are_refused_in_one_sentence(run, recipe, tmp_path, small, capsys):
    with pytest.raises(RunError, match="no run here"):
        export(tmp_path / "nowhere", tmp_path / "made")
    untrained = tmp_path / "untrained"
    untrained.mkdir()
    (untrained / "recipe.json").write_text((run / "recipe.json").read_text())
    with pytest.raises(RunError, match="has no checkpoint yet"):
        export(untrained, tmp_path / "made")
    other = tmp_path / "other.pt"
    torch.save({"model": small("local").textual.state_dict(), "step": 1, "spent": {}}, other)
    with pytest.raises(RunError, match=r"no checkpoint of .* recipe"):
        export(run, tmp_path / "made", checkpoint=other)
    compared = recipe.model.model_copy(update={"kind": "cmcd"})
    (untrained / "recipe.json").write_text(recipe.model_copy(update={"model": compared}).model_dump_json())
    torch.save({"model": build_model(compared).state_dict(), "step": 1, "spent": {}}, other)
    with pytest.raises(ExportError, match="holds a cmcd model"):
        export(untrained, tmp_path / "made", checkpoint=other)
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        export(run, tmp_path / "made", checkpoint=tmp_path / "gone.pt")
    (untrained / "recipe.json").write_text('{"name": "x", "model": {"channels": 3}}')
    assert main(["export", str(untrained), str(tmp_path / "made")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "made").exists()
