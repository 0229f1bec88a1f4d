"""What a recipe trains on, made where it can be: texts spoken by offline voices and packed into the store."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from watchword.train.checkpoint import write_whole
from watchword.train.recipe import Recipe, RecipeError, SynthesisConfig, resolve

Bar = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]
"""Opens a progress bar by its title; it yields a function of (done, all)."""


def prepare_material(recipe: Recipe, bar: Bar, jobs: int = 0) -> bool:
    """Speaks and packs `data.synthesis` into `data.store` where that store does not exist; returns whether it did.

    An interrupted call goes on where it stopped. Clips lie beside the store, in `STORE.spoken`. Raises RecipeError
    where they were spoken for other settings, VoiceError where an engine is missing, StoreError where packing fails."""
    config = recipe.data.synthesis
    if config is None:
        return False
    store = resolve(recipe.data.store)
    spoken = store.with_name(store.name + ".spoken")
    texts = read_texts(config)
    _claim(spoken, config.model_dump_json(exclude={"texts"}), texts)
    if (store / "index.json").exists():
        return False
    # These rooms are loaded only here: most training has a store.
    from watchword.data.segment import read_segments
    from watchword.data.store import pack
    from watchword.prepare.synthesize import SynthesisPlan, synthesize
    from watchword.prepare.voices import ENGINES

    for name in config.engines:
        if name not in ENGINES:
            raise RecipeError(f"data.synthesis.engines: no engine {name!r}; known are {', '.join(sorted(ENGINES))}")
    plan = SynthesisPlan(
        texts=texts,
        clips=config.clips,
        shares=tuple(config.engines.items()),
        seed=config.seed,
        voice_folder=str(resolve(config.voices)) if config.voices else "",
        reject_above=config.reject_above,
    )
    with bar("speaking") as progress:
        manifest = synthesize(plan, spoken, jobs=jobs, progress=progress)
    with bar("packing") as progress:
        pack(read_segments(manifest), store, workers=jobs, progress=progress)
    return True


def read_texts(config: SynthesisConfig) -> tuple[str, ...]:
    """Returns the texts to be spoken, of the recipe itself or of the file that it names."""
    if isinstance(config.texts, str):
        path = resolve(config.texts)
        try:
            texts = tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"data.synthesis.texts: {path} cannot be read ({error})") from None
    else:
        texts = config.texts
    if not texts:
        raise RecipeError("data.synthesis.texts: is empty; give a list of words and phrases")
    if not config.engines or any(share <= 0 for share in config.engines.values()):
        raise RecipeError("data.synthesis.engines: give each engine a share above 0, as in engines = {piper = 1}")
    return texts


def _claim(spoken: Path, settings: str, texts: tuple[str, ...]) -> None:
    """Marks the folder of the clips as this recipe's; the store beside it was or will be packed from them."""
    stated = json.dumps({"settings": json.loads(settings), "texts": texts}, indent=1)
    mark = spoken / "synthesis.json"
    if mark.exists():
        if mark.read_text(encoding="utf-8") != stated:
            raise RecipeError(
                f"data.synthesis: {spoken} was spoken for other settings; name another data.store, or remove both"
            )
        return
    spoken.mkdir(parents=True, exist_ok=True)
    write_whole(mark, stated)
