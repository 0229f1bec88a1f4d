"""The command `watchword phonemes`: shows, to correct it, what will be listened for."""

import json as jsonlib
from typing import Annotated

import typer


def phonemes(
    texts: Annotated[
        list[str],
        typer.Argument(
            help='Words or phrases; a pronunciation may be given, as "hey {N OW1 V AH0}" or "hey /ˈnoʊvə/".',
            show_default=False,
        ),
    ],
    ipa: Annotated[
        bool, typer.Option("--ipa", help="Print only IPA between slashes, ready to be corrected and passed on.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a text.")] = False,
) -> None:
    """Show how texts will be pronounced, and whether each word was in the lexicon or had to be guessed."""
    from watchword.text.phonemes import to_ipa
    from watchword.text.pronounce import default_pronouncer

    pronouncer = default_pronouncer()
    for text in texts:
        variants = pronouncer.variants(text)
        words = [word for words in pronouncer.alternatives(text) for word in words]
        if json:
            shown = [{"arpabet": " ".join(variant), "ipa": to_ipa(variant)} for variant in variants]
            sources = [{"word": word.word, "source": word.source} for word in words]
            typer.echo(jsonlib.dumps({"text": text, "variants": shown, "words": sources}, ensure_ascii=False))
        elif ipa:
            typer.echo(" | ".join(f"/{to_ipa(variant)}/" for variant in variants))
        else:
            typer.echo(f"{text}   ({', '.join(f'{word.word}: {word.source}' for word in words)})")
            for variant in variants:
                typer.echo(f"  {{{' '.join(variant)}}}   /{to_ipa(variant)}/")
