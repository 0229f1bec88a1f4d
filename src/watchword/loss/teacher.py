"""Teaching: frames or embeddings should tell what another network says, which learned from more, or is larger."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from watchword.loss.precision import in_float32


class TeacherCosine(nn.Module):
    """How far predictions point from a teacher's values.

    Formula: mean over frames of 1 − cos(prediction, value). Not in the paper; distillation of embeddings, as in
    Hinton et al. 2015, by direction alone, so that the teacher's scale does not matter.

    >>> import torch
    >>> TeacherCosine()(torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [3.0, 0.0]])).item()
    0.5
    """

    @in_float32
    def forward(self, taught: Float[Tensor, "frame dim"], teaching: Float[Tensor, "frame dim"]) -> Float[Tensor, ""]:
        """Computes the loss of predictions and of the teacher's values for the same frames; 0 where there are none."""
        cosines = functional.cosine_similarity(taught, teaching, dim=1)
        return (1 - cosines).sum() / max(len(taught), 1)


class TeacherDistance(nn.Module):
    """How far predictions lie from a teacher's values, lengths included, as a larger model's are to be had exactly.

    Formula: Σ ‖prediction − value‖² / Σ ‖value‖². Not in the paper; as in Romero et al. 2015.

    >>> import torch
    >>> TeacherDistance()(torch.tensor([[1.0, 1.0], [0.0, 2.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])).item()
    1.0
    """

    @in_float32
    def forward(self, taught: Float[Tensor, "row dim"], teaching: Float[Tensor, "row dim"]) -> Float[Tensor, ""]:
        """Computes the loss of predictions and of the teacher's values for the same rows; 0 where there are none."""
        return (taught - teaching).square().sum() / teaching.square().sum().clamp_min(1e-9)
