"""CMCD and PhonMatchNet: equal to plain loops over single pairs, causal, blind to padding, learning in every part."""

import pytest
import torch
from torch.nn import functional

from watchword.model.acoustic import AcousticConfig
from watchword.model.baselines import build_model
from watchword.model.baselines.cmcd import CMCD
from watchword.model.baselines.pair_model import PairModel
from watchword.model.baselines.phonmatchnet import PhonMatchNet, same_phonemes
from watchword.model.baselines.small_encoders import SmallAudioEncoder
from watchword.model.keyword_model import KeywordModel, ModelConfig
from watchword.model.textual import TextualConfig

KINDS = ("cmcd", "phonmatchnet", "phonmatchnet_original")
DIM, UNITS = 16, 8


def pair_model(kind):
    torch.manual_seed(0)
    acoustic = AcousticConfig(channels=32, scale=4, squeeze=8, dim=DIM, attention=8)
    textual = TextualConfig(embedding=16, hidden_per_direction=16, dim=DIM)
    model = build_model(ModelConfig(kind=kind, pair_units=UNITS, acoustic=acoustic, textual=textual))
    assert isinstance(model, PairModel)
    for part in model.modules():
        if isinstance(part, torch.nn.BatchNorm1d):
            part.running_mean.normal_(0, 0.3)
            part.running_var.uniform_(0.5, 2)
    return model.eval()


def batch(extra_samples=0, extra_tokens=0):
    """Two crops and four spans of three labels, each beside two other texts, of which one is the longest."""
    generator = torch.Generator().manual_seed(1)
    audio = torch.randn(2, 8000, generator=generator) * 0.1
    audio[1, 6000:] = 0
    said = {40: [5, 6, 7, 8], 3: [9, 10], 7: [11], 8: [5, 10, 7, 8, 12, 13]}
    labels, others = [40, 3, 40, 7], [[3, 8], [40, 7], [7, 3], [8, 40]]

    def ids(numbers, width):
        return torch.tensor([said[n] + [0] * (width + extra_tokens - len(said[n])) for n in numbers])

    return {
        "audio": torch.cat([audio, torch.zeros(2, extra_samples)], dim=1),
        "audio_lengths": torch.tensor([8000, 6000]),
        "spans": torch.tensor([[0, 3, 20], [0, 20, 48], [1, 0, 1], [1, 5, 34]]),
        "labels": torch.tensor(labels),
        "phonemes": ids(labels, 4),
        "phoneme_lengths": torch.tensor([len(said[n]) for n in labels]),
        "other_labels": torch.tensor(others),
        "others": torch.stack([ids(row, 6) for row in others]),
        "other_lengths": torch.tensor([[len(said[n]) for n in row] for row in others]),
    }


def clips_and_texts():
    """Three clips of 1 to 9 frames and four texts of 1 to 5 tokens each, padded with what must not count."""
    generator = torch.Generator().manual_seed(2)
    frames, tokens = torch.randn(3, 9, DIM, generator=generator), torch.randn(3, 4, 5, DIM, generator=generator)
    return frames, torch.tensor([9, 4, 1]), tokens, torch.tensor([[5, 1, 3, 2], [2, 5, 1, 4], [1, 2, 5, 3]])


def test_a_recipe_without_a_kind_is_the_papers_model():
    config = ModelConfig(acoustic=AcousticConfig(channels=32, scale=4))
    assert isinstance(build_model(config), KeywordModel)


def test_baselines_have_the_papers_encoders_without_their_pooling():
    for kind, network in (("cmcd", 3 * 256**2), ("phonmatchnet", 3 * 256 * 257 + 257)):
        model = build_model(ModelConfig(kind=kind))
        sizes = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
        gru = 3 * 128 * (256 + 128 + 2) + 129  # and the utterance's logit
        assert sizes == {
            "features": 0,
            "acoustic": 1_503_072,
            "textual": 2_845_184 - 256 * 257,
            "network": network + gru,
        }


@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_nothing(kind):
    model = pair_model(kind)
    with torch.inference_mode():
        match, padded = model(**batch()), model(**batch(37 * 160, 5))
    for part in ("audio", "text", "phoneme_audio", "phoneme_text", "pair_logits"):
        torch.testing.assert_close(getattr(padded, part), getattr(match, part), atol=1e-5, rtol=0)
    for part in ("pair_is_match", "phoneme_labels", "labels"):
        assert torch.equal(getattr(padded, part), getattr(match, part))
    tokens, frames = match.affinity.shape[1:]
    torch.testing.assert_close(padded.affinity[:, :tokens, :frames], match.affinity, atol=1e-5, rtol=0)
    if kind == "cmcd":
        assert match.asked_logits is match.asked_is_spoken is None
    else:
        torch.testing.assert_close(padded.asked_logits, match.asked_logits, atol=1e-5, rtol=0)
        assert torch.equal(padded.asked_is_spoken, match.asked_is_spoken)


@pytest.mark.parametrize("kind", KINDS)
def test_spans_and_their_texts_in_a_batch_equal_each_pair_alone(kind):
    model, given = pair_model(kind), batch()
    with torch.inference_mode():
        match = model(**given)
        rows = []
        for n in range(4):
            spans = given["spans"][n : n + 1]
            frames, lengths = model.spoken(given["audio"], given["audio_lengths"], spans)
            own = (given["phonemes"][n], given["phoneme_lengths"][n])
            for ids, length in (own, *zip(given["others"][n], given["other_lengths"][n], strict=True)):
                tokens = model.textual.tokens(ids[None, :length], length[None])
                alone = model.compare(frames, lengths, tokens[None], length[None, None])
                rows.append(alone.logits.item())
    torch.testing.assert_close(match.pair_logits, torch.tensor(rows), atol=1e-5, rtol=0)
    assert match.pair_is_match.tolist() == [True, False, False] * 4
    assert match.pair_logits.std() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_audio_beside_tokens_is_the_mean_of_frames_under_the_tokens_attention(kind):
    model, given = pair_model(kind), batch()
    with torch.inference_mode():
        match = model(**given)
        frames, lengths = model.spoken(given["audio"], given["audio_lengths"], given["spans"])
    assert match.phoneme_labels.tolist() == [5, 6, 7, 8, 9, 10, 5, 6, 7, 8, 11]
    torch.testing.assert_close(match.affinity.sum(2)[match.phoneme_mask], torch.ones(11))
    assert not match.affinity[~match.frame_mask[:, None].expand_as(match.affinity)].any()
    row = 0
    for n, count in enumerate((4, 2, 4, 1)):
        for token in range(count):
            own = sum(match.affinity[n, token, t] * frames[n, t] for t in range(int(lengths[n])))
            torch.testing.assert_close(match.phoneme_audio[row], own, atol=1e-5, rtol=0)
            row += 1


def test_phonemes_of_a_match_are_compared_with_the_spoken_ones_place_by_place():
    model = pair_model("phonmatchnet")
    with torch.inference_mode():
        match = model(**batch())
    own = [[1] * 4, [1] * 2, [1] * 4, [1]]
    # 9 10 and 5 10 7 8 12 13 beside 5 6 7 8; 5 6 7 8 and 11 beside 9 10; and so on.
    others = [[[0, 0], [1, 0, 1, 1, 0, 0]], [[0] * 4, [0]], [[0], [0, 0]], [[0] * 6, [0] * 4]]
    expected = [label for n in range(4) for text in (own[n], *others[n]) for label in text]
    assert match.asked_is_spoken.tolist() == [bool(label) for label in expected]
    spoken, asked = torch.tensor([[4, 5, 6], [7, 8, 0]]), torch.tensor([[[4, 6, 5, 6]], [[7, 8, 9, 9]]])
    assert same_phonemes(spoken, asked).tolist() == [[[True, False, False, False]], [[True, True, False, False]]]


def test_phonmatchnet_equals_the_whole_sequence_under_a_triangular_mask():
    """Frames and tokens truly joined, one pair at a time, in float64."""
    torch.manual_seed(3)
    network = PhonMatchNet(DIM, UNITS).double()
    frames, frame_lengths, tokens, token_lengths = clips_and_texts()
    frames, tokens = frames.double(), tokens.double()
    with torch.no_grad():
        found = network(frames, frame_lengths, tokens, token_lengths)
        for n in range(3):
            t = int(frame_lengths[n])
            for k in range(4):
                p = int(token_lengths[n, k])
                rows = torch.cat([frames[n, :t], tokens[n, k, :p]])
                scores = network.query(rows) @ network.key(rows).T / DIM**0.5
                weights = scores.masked_fill(torch.ones_like(scores).triu(1).bool(), -torch.inf).softmax(1)
                outputs = weights @ network.value(rows)
                _, state = network.gru(outputs[None])
                torch.testing.assert_close(found.logits[n, k], network.utterance(state[0, 0])[0])
                torch.testing.assert_close(found.phoneme_logits[n, k, :p], network.phoneme(outputs[t:])[:, 0])
                if k == 0:
                    to_frames = weights[t:, :t] / weights[t:, :t].sum(1, keepdim=True)
                    torch.testing.assert_close(found.affinity[n, :p, :t], to_frames)


def test_phonmatchnet_never_looks_ahead():
    torch.manual_seed(3)
    network = PhonMatchNet(DIM, UNITS)
    frames, frame_lengths, tokens, token_lengths = clips_and_texts()
    tokens.requires_grad_()
    frames.requires_grad_()
    logits = network(frames, frame_lengths, tokens, token_lengths).phoneme_logits
    by_token, by_frame = torch.autograd.grad(logits[0, 0, 2], (tokens, frames))
    seen = by_token[0, 0].abs().sum(1) > 0
    assert seen.tolist() == [True, True, True, False, False]
    assert not by_token[0, 1:].any()
    assert not by_token[1:].any()
    assert (by_frame[0].abs().sum(1) > 0).all()


def test_cmcd_equals_loops():
    torch.manual_seed(3)
    network = CMCD(DIM, UNITS).double()
    for parameter in network.attention.parameters():
        torch.nn.init.normal_(parameter, 0, 0.4)
    frames, frame_lengths, tokens, token_lengths = clips_and_texts()
    frames, tokens = frames.double(), tokens.double()
    with torch.no_grad():
        found = network(frames, frame_lengths, tokens, token_lengths)
        assert found.phoneme_logits is None
        for n in range(3):
            heard = frames[n, : frame_lengths[n]]
            keys, values = network.attention.key(heard), network.attention.value(heard)
            for k in range(4):
                outputs = []
                for token in tokens[n, k, : token_lengths[n, k]]:
                    scores = torch.stack([network.attention.query(token) @ key / DIM**0.5 for key in keys])
                    outputs.append((scores.softmax(0)[:, None] * values).sum(0))
                    if k == 0:
                        row = found.affinity[n, len(outputs) - 1, : len(heard)]
                        torch.testing.assert_close(row, scores.softmax(0))
                _, state = network.gru(torch.stack(outputs)[None])
                torch.testing.assert_close(found.logits[n, k], network.utterance(state[0, 0])[0])


def test_the_small_encoder_halves_frames_and_counts_real_ones_alone_even_in_training():
    torch.manual_seed(0)
    encoder = SmallAudioEncoder(DIM)
    lengths = torch.tensor([11, 6, 1])
    log_mel = torch.randn(3, 11, 40)
    padded = functional.pad(log_mel, (0, 0, 0, 8), value=9.0)
    log_mel[1, 6:], log_mel[2, 1:] = 3.0, -3.0
    frames, halves = encoder(log_mel, lengths)
    more, again = encoder(padded, lengths)
    assert halves.tolist() == again.tolist() == [6, 3, 1]
    torch.testing.assert_close(more[:, :6], frames, atol=1e-5, rtol=0)
    assert not more[:, 6:].any()
    assert not frames[1, 3:].any()


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_every_parameter(kind):
    model = pair_model(kind).train()
    match = model(**batch())
    loss = match.pair_logits.square().sum() + match.affinity.square().sum()
    if kind != "cmcd":
        loss = loss + match.asked_logits.square().sum()
    loss.backward()
    silent = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    # A softmax does not see what is added to all keys alike.
    assert silent <= {"network.key.bias"}


def test_first_weights_are_those_of_keras():
    torch.manual_seed(0)
    network = PhonMatchNet(64, 32)
    for name, parameter in network.named_parameters():
        if parameter.ndim < 2:
            assert not parameter.any(), name
    for gate in network.gru.weight_hh_l0.chunk(3):
        torch.testing.assert_close(gate @ gate.T, torch.eye(32), atol=1e-5, rtol=0)
    for matrix in (*network.gru.weight_ih_l0.chunk(3), network.query.weight, network.key.weight):
        most = (6 / sum(matrix.shape)) ** 0.5
        assert 0.95 * most < matrix.abs().max().item() <= most
