"""`memdub serve`: deployments for everyone who consents, and what runs them."""

from __future__ import annotations

import click

from flows.cli.output import note

__all__ = ["serve"]


@click.command()
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=4200,
    show_default=True,
    help="Where the Prefect server listens that is started if none is configured.",
)
@click.option(
    "--cron", default="0 3 * * *", show_default=True, help="When refresh/nightly runs, as cron says it."
)
@click.option("--timezone", help="Of --cron, as Europe/Berlin; default: this machine's.")
@click.option("--runs", type=click.IntRange(1, 64), default=2, show_default=True, help="So many at once.")
def serve(port: int, cron: str, timezone: str | None, runs: int) -> None:
    """Run what Prefect is asked for, until interrupted.

    Starts a Prefect server, on this machine alone, unless PREFECT_API_URL names one. There is dub/NAME and
    train/NAME for everyone whose consent covers that, ingest/any, extract/all, remember/any and
    refresh/nightly. Then, in another terminal or in the server's UI:

        prefect deployment run dub/NAME --param audio=speech.wav
    """
    from flows.serve import ServeOptions, serve

    serve(ServeOptions(port, cron, timezone, runs), tell=note)
