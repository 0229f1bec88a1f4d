"""The command `watchword serve`: a local page to try keywords on, with the microphone or a file."""

from typing import Annotated

import typer

from watchword.cli.options import BundleFolder


def serve(
    host: Annotated[
        str, typer.Option(help="The address to listen on; any but this machine's own lets others in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes any free one.")] = 8765,
    bundle: BundleFolder = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")] = True,
    streams: Annotated[int, typer.Option(min=1, help="How many may listen at the same time.")] = 8,
) -> None:
    """Open a page to try keywords on, with the microphone or a file; Ctrl-C ends it."""
    from watchword.serve.server import serve as run

    run(bundle, host, port, browser, streams)
