"""Teaching: frames should tell what a network that was trained on far more speech says of the same audio, clean."""

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
