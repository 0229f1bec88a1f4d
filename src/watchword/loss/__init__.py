"""The losses by family; a family shares one signature, and a recipe names its members."""

from torch import nn

from watchword.loss.adversarial import ModalityAdversary
from watchword.loss.frame import FramePhonemes
from watchword.loss.keyword import AAMSoftmax, SphereFace2
from watchword.loss.monotonic import MonotonicMatching
from watchword.loss.negatives import GapNegatives, ProxyNegatives
from watchword.loss.pairwise import AsymmetricProxy, Clat, ProxyBD, ProxyMS
from watchword.loss.relational import CrossRelational, RelationalProxy
from watchword.loss.teacher import TeacherCosine, TeacherDistance
from watchword.loss.triplet import MultiviewTriplet, Triplet
from watchword.loss.verification import MatchCrossEntropy

FAMILIES: dict[str, dict[str, type[nn.Module]]] = {
    "pairwise": {
        "asyp": AsymmetricProxy,
        "proxy_bd": ProxyBD,
        "proxy_ms": ProxyMS,
        "clat": Clat,
        "multiview_triplet": MultiviewTriplet,
    },
    "relational": {"relational_proxy": RelationalProxy, "relational_cross": CrossRelational},
    "keyword": {"sphereface2": SphereFace2, "aam_softmax": AAMSoftmax, "triplet": Triplet},
    "monotonic": {"monotonic": MonotonicMatching},
    "adversarial": {"modality_adversary": ModalityAdversary},
    "verification": {"match": MatchCrossEntropy},
    "frame": {"frame_phonemes": FramePhonemes},
    "negatives": {"proxy_negatives": ProxyNegatives, "gap_negatives": GapNegatives},
    "teacher": {"teacher_cosine": TeacherCosine, "teacher_distance": TeacherDistance},
}
