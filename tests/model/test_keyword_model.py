"""The text encoder, the matcher and the whole model: sizes, padding, spans."""

import pytest
import torch

from watchword.model.keyword_model import KeywordModel, gather_spans
from watchword.model.matcher import CrossAttention
from watchword.model.textual import TextEncoder, TextualConfig
from watchword.text.phonemes import PHONEMES

CONTEXTS = ["utterance", "local"]


def test_the_text_encoder_of_72_phonemes_has_2_845_184_parameters():
    assert len(PHONEMES) == 72
    assert sum(weight.numel() for weight in TextEncoder().parameters()) == 2_845_184


def test_the_other_reading_of_256_units_has_874_752_parameters():
    config = TextualConfig(hidden_per_direction=128, token_projection=False)
    encoder = TextEncoder(config).eval()
    assert sum(weight.numel() for weight in encoder.parameters()) == 874_752
    tokens, _ = encoder(torch.tensor([[5, 6, 7, 0]]), torch.tensor([3]))
    torch.testing.assert_close(tokens[:, :3], encoder.lstm(encoder.embed(torch.tensor([[5, 6, 7]])))[0])
    assert not tokens[:, 3].any()
    with pytest.raises(ValueError, match="needs hidden_per_direction = 128, half of dim"):
        TextualConfig(token_projection=False)


def test_padding_changes_neither_tokens_nor_text_embedding(model):
    textual, lengths = model("local").textual, torch.tensor([9, 4, 1])
    phonemes = torch.randint(2, 72, (3, 9)) * (torch.arange(9) < lengths[:, None])
    padded = torch.cat([phonemes, torch.zeros(3, 5, dtype=torch.int64)], dim=1)
    with torch.inference_mode():
        tokens, embedding = textual(padded, lengths)
        for row, length in enumerate(lengths.tolist()):
            # Without lengths, as it is exported.
            alone_tokens, alone = textual(phonemes[row : row + 1, :length])
            torch.testing.assert_close(tokens[row : row + 1, :length], alone_tokens, atol=1e-5, rtol=0)
            torch.testing.assert_close(embedding[row : row + 1], alone, atol=1e-5, rtol=0)
            assert not tokens[row, length:].any()


@pytest.mark.parametrize("projection", ["none", "qk", "qkv"])
def test_attention_is_equation_1_and_ignores_padding(projection):
    attention = CrossAttention(8, projection)
    tokens, frames, lengths = torch.randn(2, 4, 8), torch.randn(2, 11, 8), [11, 6]
    padded = torch.cat([frames, torch.full((2, 37, 8), 5.0)], dim=1)
    mask = torch.arange(48)[None] < torch.tensor(lengths)[:, None]
    aligned, affinity = attention(tokens, padded, mask)
    for row, length in enumerate(lengths):
        # Projections begin at the identity, so that Eq. 1 holds to the letter.
        scores = tokens[row] @ frames[row, :length].T / 8**0.5
        expected = scores.exp() / scores.exp().sum(1, keepdim=True)
        torch.testing.assert_close(affinity[row, :, :length], expected, atol=1e-5, rtol=0)
        assert not affinity[row, :, length:].any()
        torch.testing.assert_close(aligned[row], expected @ frames[row, :length], atol=1e-5, rtol=0)


def test_gathered_spans_are_those_of_a_loop():
    frames = torch.randn(3, 10, 4)
    spans = torch.tensor([[0, 0, 10], [2, 9, 10], [1, 3, 7], [2, 0, 1]])
    gathered, lengths = gather_spans(frames, spans)
    assert gathered.shape == (4, 10, 4)
    assert lengths.tolist() == [10, 1, 4, 1]
    for row, (crop, first, last) in enumerate(spans.tolist()):
        assert torch.equal(gathered[row, : last - first], frames[crop, first:last])
        assert not gathered[row, last - first :].any()


def batch(extra_samples=0, extra_tokens=0):
    """Two crops, four spans of three labels; padded by more where asked."""
    generator = torch.Generator().manual_seed(1)
    audio = torch.randn(2, 8000, generator=generator) * 0.1
    audio[1, 6000:] = 0
    spans = torch.tensor([[0, 3, 20], [0, 20, 48], [1, 0, 1], [1, 5, 34]])
    phonemes = torch.tensor([[5, 6, 7, 8], [9, 10, 0, 0], [5, 6, 7, 8], [11, 0, 0, 0]])
    return {
        "audio": torch.cat([audio, torch.zeros(2, extra_samples)], dim=1),
        "audio_lengths": torch.tensor([8000, 6000]),
        "spans": spans,
        "labels": torch.tensor([40, 3, 40, 7]),
        "phonemes": torch.cat([phonemes, torch.zeros(4, extra_tokens, dtype=torch.int64)], dim=1),
        "phoneme_lengths": torch.tensor([4, 2, 4, 1]),
    }


@pytest.mark.parametrize("context", CONTEXTS)
def test_padding_changes_no_part_of_a_match(model, context):
    whole = model(context)
    with torch.inference_mode():
        match, padded = whole(**batch()), whole(**batch(37 * 160, 5))
    for part in ("audio", "text", "phoneme_audio", "phoneme_text"):
        torch.testing.assert_close(getattr(padded, part), getattr(match, part), atol=1e-5, rtol=0)
    assert torch.equal(padded.phoneme_labels, match.phoneme_labels)
    tokens, frames = match.affinity.shape[1:]
    torch.testing.assert_close(padded.affinity[:, :tokens, :frames], match.affinity, atol=1e-5, rtol=0)


def test_a_match_holds_each_span_beside_its_own_text(model):
    whole, given = model("local"), batch()
    with torch.inference_mode():
        match = whole(**given)
        frames, _ = whole.frames(given["audio"], given["audio_lengths"])
        for row, (crop, first, last) in enumerate(given["spans"].tolist()):
            spoken = frames[crop : crop + 1, first:last]
            pooled = whole.acoustic.pool(spoken, torch.tensor([last - first]))
            torch.testing.assert_close(match.audio[row : row + 1], pooled, atol=1e-5, rtol=0)
            said = given["phonemes"][row : row + 1, : given["phoneme_lengths"][row]]
            torch.testing.assert_close(match.text[row : row + 1], whole.textual(said)[1], atol=1e-5, rtol=0)
    assert match.phoneme_labels.tolist() == [5, 6, 7, 8, 9, 10, 5, 6, 7, 8, 11]
    torch.testing.assert_close(match.affinity.sum(2)[match.phoneme_mask], torch.ones(11))


def test_the_phoneme_classifier_is_there_only_when_asked_for():
    torch.manual_seed(0)
    plain = KeywordModel()
    assert plain.frame_head is None
    with_head = KeywordModel(plain.config.model_copy(update={"frame_head": True}))
    extra = set(with_head.state_dict()) - set(plain.state_dict())
    assert extra == {"frame_head.weight", "frame_head.bias"}
