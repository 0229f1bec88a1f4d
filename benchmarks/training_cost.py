"""Counts the operations of a training step by part, the bytes that ranks exchange, and measures a step on this CPU.

python benchmarks/training_cost.py [--words 250] [--classes 20000] [--store FOLDER]

Prints Markdown; docs/scale.md says what follows from it. Without --store no batch is made from disk.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from watchword.audio import SAMPLE_RATE, num_frames
from watchword.data.batches import Batch
from watchword.model.keyword_model import KeywordModel
from watchword.model.matcher import Match
from watchword.text.phonemes import PHONEMES
from watchword.train.experiment import Experiment
from watchword.train.objective import Objective
from watchword.train.recipe import Recipe, load_recipe

RECIPE = Path(__file__).parents[1] / "recipes" / "base.toml"
WORD_SECONDS, WORD_PHONEMES = 0.5, 6
"""A word of the reduced training data, cut out of its recording, is 0.50 s long on average, and has 6 phonemes."""


class Operators(TorchDispatchMode):
    """Counts operators: on a GPU each is a kernel or more to be launched, whatever its size."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace == "aten" and not func.is_view:
            self.count += 1
        return func(*args, **(kwargs or {}))


def noise_batch(words: int, labels: int) -> Batch:
    """Two utterances each of so many words: noise of a word's length, and random phonemes."""
    torch.manual_seed(0)
    n, samples = 2 * words, round(WORD_SECONDS * SAMPLE_RATE)
    said = torch.randint(2, len(PHONEMES), (words, WORD_PHONEMES)).repeat_interleave(2, dim=0)
    frames = num_frames(samples)
    return Batch(
        audio=0.1 * torch.randn(n, samples),
        audio_lengths=torch.full((n,), samples),
        spans=torch.tensor([(row, 0, frames) for row in range(n)]),
        labels=torch.randperm(labels)[:words].repeat_interleave(2),
        phonemes=said,
        phoneme_lengths=torch.full((n,), WORD_PHONEMES),
        frame_phonemes=torch.full((n, frames), -1),
    )


def counted(work: Callable[[], Tensor]) -> tuple[float, float, int]:
    """Operations forward, operations backward (a multiplication and an addition are two), and operators of both."""
    with Operators() as operators:
        with FlopCounterMode(display=False) as forward:
            result = work()
        with FlopCounterMode(display=False) as backward:
            result.sum().backward()
    return forward.get_total_flops(), backward.get_total_flops(), operators.count


def lstm_operations(model: KeywordModel, tokens: int) -> float:
    """Of the forward pass: PyTorch's counter does not know of LSTMs."""
    lstm = model.textual.lstm
    inputs = [lstm.input_size] + [2 * lstm.hidden_size] * (lstm.num_layers - 1)
    return tokens * 2 * sum(2 * 4 * lstm.hidden_size * (width + lstm.hidden_size) for width in inputs)


def parts(
    recipe: Recipe, model: KeywordModel, objective: Objective, batch: Batch, match: Match, classes: int
) -> dict[str, tuple[float, float, int]]:
    """Operations of each part of a step."""
    found: dict[str, tuple[float, float, int]] = {}
    log_mel = model.features(batch.audio)
    lengths = torch.tensor([log_mel.shape[1]] * len(log_mel))
    frames = model.acoustic(log_mel, lengths).detach().requires_grad_()
    found["acoustic: frames"] = counted(lambda: model.acoustic(log_mel, lengths))
    found["acoustic: pooling"] = counted(lambda: model.acoustic.pool(frames, lengths))
    words = slice(None, None, 2)
    forward, backward, operators = counted(
        lambda: model.textual(batch.phonemes[words], batch.phoneme_lengths[words])[1]
    )
    lstm = lstm_operations(model, int(batch.phoneme_lengths[words].sum()))
    found["text"] = (forward + lstm, backward + 2 * lstm, operators)
    tokens = torch.randn(len(frames), WORD_PHONEMES, frames.shape[2], requires_grad=True)
    mask = torch.ones(frames.shape[:2], dtype=torch.bool)
    found["attention"] = counted(lambda: model.attention(tokens, frames, mask)[0])
    rows = {
        name: value.detach().requires_grad_(value.is_floating_point())
        for name, value in vars(match).items()
        if isinstance(value, Tensor)
    }
    for place in objective.losses:
        alone = Objective(recipe.objective.model_copy(update=dict.fromkeys(set(objective.losses) - {place})), classes)
        found[f"loss: {place}"] = counted(lambda alone=alone: alone(Match(**rows))[0])
    return found


def gathered_bytes(match: Match) -> tuple[int, int]:
    """Bytes of the whole batch's rows that every rank gets, and of the float32 gradients that are summed."""
    tensors = [tensor for tensor in vars(match).values() if isinstance(tensor, Tensor)]
    return sum(t.numel() * t.element_size() for t in tensors), sum(t.numel() * 4 for t in tensors if t.requires_grad)


def measured(model: KeywordModel, objective: Objective, batch: Batch, bfloat16: bool, times: int = 5) -> float:
    """The processor time of a whole step but for making the batch, in seconds: the median of `times`."""
    optimizer = torch.optim.AdamW([*model.parameters(), *objective.parameters()], lr=1e-4)
    model.train()
    taken = []
    for _ in range(times + 1):
        began = time.process_time()
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            match = model(**batch.model_inputs())
        total, _ = objective(match)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        taken.append(time.process_time() - began)
    return statistics.median(taken[1:])


def time_of_batches(recipe: Recipe, times: int = 5) -> tuple[float, float]:
    """Processor time to make a second of audio of a batch, with all distortions, and to draw a batch; in seconds."""
    maker = Experiment(recipe).maker
    made, drawn = [], []
    for step in range(times + 1):
        began = time.process_time()
        maker.draw(step)
        middle = time.process_time()
        batch = maker(step)
        drawn.append(middle - began)
        made.append((time.process_time() - middle) / float(batch.audio_lengths.sum()) * SAMPLE_RATE)
    return statistics.median(made[1:]), statistics.median(drawn[1:])


def main() -> None:
    """Counts, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--words", type=int, default=250, help="words a batch, two utterances each")
    parser.add_argument("--classes", type=int, default=20_000, help="classes of the keyword loss")
    parser.add_argument("--store", type=Path, help="a store to make batches from")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    recipe = load_recipe(RECIPE, [f"batch.classes={chosen.words}"])
    torch.manual_seed(0)
    model, objective = KeywordModel(recipe.model), Objective(recipe.objective, chosen.classes)
    batch = noise_batch(chosen.words, chosen.classes)
    seconds = float(batch.audio_lengths.sum()) / SAMPLE_RATE
    match = model.train()(**batch.model_inputs())

    print(
        f"{2 * chosen.words} utterances of {chosen.words} words, {seconds:.0f} s of audio, {chosen.classes} classes\n"
    )
    print("| part | forward, GFLOP | backward, GFLOP | operators |\n|---|---|---|---|")
    table = parts(recipe, model, objective, batch, match, chosen.classes)
    for name, (forward, backward, operators) in table.items():
        print(f"| {name} | {forward / 1e9:.2f} | {backward / 1e9:.2f} | {operators} |")
    forward, backward, operators = (sum(column) for column in zip(*table.values(), strict=True))
    print(f"| whole step | {forward / 1e9:.1f} | {backward / 1e9:.1f} | {operators} |\n")
    frames = sum(table["acoustic: frames"][:2])
    print(f"acoustic frames, forward and backward: {frames / seconds / 1e9:.3f} GFLOP a second of audio")
    rows, gradients = gathered_bytes(match)
    weights = sum(p.numel() for module in (model, objective) for p in module.parameters())
    print(f"gathered: {rows / 1e6:.1f} MB of rows, {gradients / 1e6:.1f} MB of their gradients")
    print(f"averaged: {4 * weights / 1e6:.1f} MB of gradients of {weights:,} parameters")
    for name, bfloat16 in (("float32", False), ("bfloat16", True)):
        taken = measured(model, objective, batch, bfloat16)
        print(
            f"measured, 1 thread, {name}: {taken:.2f} s of processor time a step, {seconds / taken:.0f} s of audio a s"
        )
    if chosen.store:
        made, drawn = time_of_batches(
            load_recipe(RECIPE, [f"batch.classes={chosen.words}", f"data.store={chosen.store}"])
        )
        print(f"batches: {1 / made:.0f} s of audio a s of processor time; {drawn * 1000:.0f} ms to draw one")


if __name__ == "__main__":
    main()
