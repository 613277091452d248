"""``cnndetect list``: the names that options take, such as suites, detectors, generator families and degradations."""

from __future__ import annotations

from importlib import import_module

import click

from cnndetect.cli import options as shared

# Kind -> (module, registry or function that lists it, option that takes such a name).
KINDS = {
    "suites": ("cnndetect.bench.suites", "list_suites", "--suite"),
    "detectors": ("cnndetect.detectors.registry", "list_detectors", "--detector"),
    "degradations": ("cnndetect.transforms.degrade", "DEGRADATIONS", "--degradation"),
    "equalisers": ("cnndetect.transforms.degrade", "EQUALISERS", "--equalise"),
    "protocols": ("cnndetect.transforms.preprocess", "PROTOCOLS", "--protocol"),
    "sections": ("cnndetect.cli.report", "SECTIONS", "report --section"),
    "recipes": ("cnndetect.train.recipes", "RECIPES", "train --recipe"),
    "architectures": ("cnndetect.train.architectures", "ARCHITECTURES", "train --arch"),
    "families": ("cnndetect.zoo.registry", "FAMILIES", "zoo train"),
}


@click.command(
    "list",
    epilog="""\b
examples:
  cnndetect list
  cnndetect list degradations""",
)
@click.argument("kind", required=False, type=click.Choice(tuple(KINDS)), metavar=f"[{'|'.join(KINDS)}]")
@shared.as_json
def names(kind: str | None, as_json: bool) -> None:
    """List the names that options take: one kind a line each, or all kinds. Suites are those that are installed."""
    found = {one: _names(one) for one in ([kind] if kind else KINDS)}
    if as_json:
        shared.print_json(found)
    elif kind:
        click.echo("\n".join(found[kind]))
    else:
        click.echo("\n".join(f"{one} ({KINDS[one][2]}): {', '.join(listed)}" for one, listed in found.items()))


def _names(kind: str) -> list[str]:
    module, attribute, _ = KINDS[kind]
    listed = getattr(import_module(module), attribute)
    return list(listed() if callable(listed) else listed)
