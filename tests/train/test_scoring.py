"""Baselines are trained by the same command, go on bit for bit, and every run is scored by one scorer."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from watchword.cli import main
from watchword.data.store import Store
from watchword.evaluate.clips import score_trials
from watchword.evaluate.trials import Trial
from watchword.model.baselines.pair_model import PairModel
from watchword.model.keyword_model import KeywordModel
from watchword.train import scoring
from watchword.train.checkpoint import load_checkpoint, newest_checkpoint
from watchword.train.experiment import Experiment
from watchword.train.loop import train
from watchword.train.objective import Objective
from watchword.train.recipe import RecipeError, load_recipe
from watchword.train.runs import load_run
from watchword.train.scoring import run_scorer

PAPER = Path(__file__).parents[2] / "recipes" / "paper"
TINY = (
    "model.pair_units=12",
    "model.acoustic={channels=16, scale=4, squeeze=8, dim=16, attention=8}",
    "model.textual={embedding=16, hidden_per_direction=8, dim=16}",
    "data.noise=false",
    "batch.classes=6",
    "train.steps=4",
    "train.warmup_steps=1",
    "train.learning_rate=2e-3",
    "train.log_every=1",
    "train.threads=1",
)
ROWS = {
    "cmcd": {"verification", "monotonic"},
    "cmcd_mal": {"verification", "monotonic", "adversary_phoneme"},
    "phonmatchnet": {"verification", "verification_phoneme"},
    "phonmatchnet_mal": {"verification", "verification_phoneme", "adversary_phoneme"},
    "phonmatchnet_original": {"verification", "verification_phoneme"},
    "rp": {"relational", "point_to_point"},
}
Trained = Callable[[str], Path]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tone_store: Store) -> Trained:
    """Gives the folder of a finished run of a row of the paper, tiny, trained by the command line."""
    runs: dict[str, Path] = {}

    def run_of(row: str) -> Path:
        if row not in runs:
            runs[row] = tmp_path_factory.mktemp("runs") / row
            overrides = [*TINY, f"data.store={tone_store.folder}"]
            assert main(["train", str(PAPER / f"{row}.toml"), *overrides, "--run", str(runs[row])]) == 0
        return runs[row]

    return run_of


@pytest.fixture(scope="module")
def clips(tone_store: Store) -> list[np.ndarray]:
    """Five words of the store, of different lengths; one is shorter than a frame."""
    found = []
    for number, row in enumerate(tone_store.items[[0, 5, 9, 14, 20]]):
        start, end = int(row["start"]), int(row["end"])
        whole = tone_store.audio(int(row["utterance"]))[start:end]
        found.append(whole[: len(whole) - 700 * number].astype(np.float32) / 32768)
    return [*found, found[0][:200]]


TEXTS = ["seven", "go", "no stop", "yes", "left right up"]


def pronounced(text: str) -> Tensor:
    return torch.tensor([scoring.first_pronunciation(text)])


def directly(model: Any, clip: np.ndarray, text: str) -> float:
    """One clip, one text, nothing padded."""
    samples = max(len(clip), 400)
    audio = torch.from_numpy(np.pad(clip, (0, samples - len(clip))))[None]
    said = pronounced(text)
    lengths, count = torch.tensor([samples]), 1 + (samples - 400) // 160
    with torch.inference_mode():
        if isinstance(model, KeywordModel):
            frames, _ = model.frames(audio, lengths)
            pooled = model.acoustic.pool(frames, torch.tensor([count]))
            return float(torch.cosine_similarity(pooled, model.textual(said)[1]))
        frames, counts = model.spoken(audio, lengths, torch.tensor([[0, 0, count]]))
        tokens = model.textual.tokens(said, torch.tensor([said.shape[1]]))
        return float(model.compare(frames, counts, tokens[None], torch.tensor([[said.shape[1]]])).logits)


@pytest.mark.parametrize("row", ROWS)
def test_a_row_is_trained_by_the_command_and_its_scores_are_those_of_each_pair_alone(
    row: str, trained: Trained, clips: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained(row)
    records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    steps = [record for record in records if "of" in record]
    assert len(steps) == 4
    assert ROWS[row] == steps[-1].keys() & {name for names in ROWS.values() for name in names}
    model = load_run(run).model
    assert isinstance(model, KeywordModel if row == "rp" else PairModel)
    expected = np.array([[directly(model, clip, text) for text in TEXTS] for clip in clips])
    assert np.ptp(expected) > 1e-4
    np.testing.assert_allclose(run_scorer(run)(clips, TEXTS), expected, atol=1e-5)
    # In blocks that do not fit, and with texts forgotten in between.
    for name in ("CLIPS_AT_ONCE", "TEXTS_AT_ONCE", "PAIRS_AT_ONCE", "REMEMBERED_TEXTS"):
        monkeypatch.setattr(scoring, name, 4)
    scorer = run_scorer(run)
    np.testing.assert_allclose(scorer(clips, TEXTS), expected, atol=1e-5)
    np.testing.assert_allclose(scorer(clips[1:2], TEXTS[3:1:-1]), expected[1:2, 3:1:-1], atol=1e-5)


def test_trials_are_scored_alike_whether_clips_meet_all_texts_or_their_own(trained: Trained, tone_store: Store) -> None:
    scorer = run_scorer(trained("phonmatchnet"))
    folder = tone_store.folder.parent
    places = [(str(folder / f"{number % 3}.wav"), 0.1 + 0.4 * (number % 4)) for number in range(3 * len(TEXTS))]
    trials = [
        Trial(path, start, start + 0.3, text, False, "random", 1, "s")
        for (path, start), text in zip(places, TEXTS * 3, strict=True)
    ]
    own = score_trials(trials, scorer, sparse=True)
    np.testing.assert_allclose(score_trials(trials, scorer), own, atol=1e-5)
    assert own.std() > 0


@pytest.mark.parametrize("row", ["cmcd_mal", "phonmatchnet_mal", "phonmatchnet_original"])
def test_a_baseline_that_goes_on_ends_where_one_that_was_not_stopped_does(
    row: str, trained: Trained, tone_store: Store, tmp_path: Path
) -> None:
    recipe = load_recipe(PAPER / f"{row}.toml", [*TINY, f"data.store={tone_store.folder}"])
    assert not train(Experiment(recipe), tmp_path, stop_at=2)
    assert train(Experiment(recipe), tmp_path)
    states = [newest_checkpoint(run) for run in (trained(row), tmp_path)]
    whole, stopped = (load_checkpoint(path) for path in states if path)
    for part in ("model", "objective"):
        assert whole[part].keys() == stopped[part].keys()
        assert all(torch.equal(whole[part][name], stopped[part][name]) for name in whole[part])


def test_the_objective_of_phonmatchnet_and_its_adversary_is_what_loops_add_up(tone_store: Store) -> None:
    overrides = [*TINY, f"data.store={tone_store.folder}", "objective.monotonic={name='monotonic'}"]
    experiment = Experiment(load_recipe(PAPER / "phonmatchnet_mal.toml", overrides))
    batch = next(experiment.batches(0))
    model, objective = experiment.model.eval(), experiment.objective
    assert isinstance(objective, Objective)
    with torch.no_grad():
        match = model(**batch.model_inputs())
        total, terms = objective(match)

    def cross_entropy(logits: Tensor, truths: list[bool], positive_weight: float) -> float:
        cost = weights = 0.0
        for logit, truth in zip(logits.double().tolist(), truths, strict=True):
            weight = positive_weight if truth else 1.0
            probability = 1 / (1 + math.exp(-logit))
            cost -= weight * math.log(probability if truth else 1 - probability)
            weights += weight
        return cost / weights

    spoken, truths = [], []
    for n in range(len(batch.labels)):
        own = batch.phonemes[n, : batch.phoneme_lengths[n]].tolist()
        assert batch.others is not None
        assert batch.other_lengths is not None
        others = [ids[:size].tolist() for ids, size in zip(batch.others[n], batch.other_lengths[n], strict=True)]
        for asked in (own, *others):
            truths.append(asked is own)
            spoken += [place < len(own) and own[place] == phoneme for place, phoneme in enumerate(asked)]
    assert truths.count(True) * 3 == len(truths)
    expected = {
        "verification": cross_entropy(match.pair_logits, truths, 2.0),
        "verification_phoneme": cross_entropy(match.asked_logits, spoken, 1.0),
        "adversary_phoneme": terms["adversary_phoneme"],
        "monotonic": terms["monotonic"],
    }
    assert terms == pytest.approx(expected, abs=1e-5)
    assert float(total) == pytest.approx(sum(expected.values()), abs=1e-5)


@pytest.mark.parametrize(
    ("row", "override", "sentence"),
    [
        ("rp", "objective.verification={name='match'}", "objective.verification: needs model.kind = 'cmcd' or"),
        ("cmcd", "objective.verification_phoneme={name='match'}", "needs model.kind = 'phonmatchnet', not 'cmcd'"),
        ("cmcd", "model.kind=cmdc", "model.kind: Input should be 'adml', 'cmcd', 'phonmatchnet'"),
    ],
)
def test_a_loss_that_a_model_cannot_serve_is_refused(row: str, override: str, sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence.replace(".", r"\.")):
        load_recipe(PAPER / f"{row}.toml", [override])


def test_a_baseline_becomes_no_bundle(trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(trained("cmcd")), str(tmp_path / "bundle")]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert "holds a cmcd model; only models of kind 'adml' become bundles" in said
    assert not (tmp_path / "bundle").exists()
