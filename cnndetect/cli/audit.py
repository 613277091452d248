"""``cnndetect audit``: can real and fake be told apart by their files?"""

from __future__ import annotations

from pathlib import Path

import click

from cnndetect.cli import options as shared
from cnndetect.cli.guard import DONE, FAILED


@click.command(
    epilog="""Exit status: 0 nothing biased, 1 some test set is biased or holds unreadable files, 2 misused.

\b
examples:
  cnndetect audit --suite mini
  cnndetect audit --suite my-test-sets/ --against my-training-set/ --json > audit.json"""
)
@shared.suite()
@click.argument("given", required=False, cls=shared.Hidden)
@click.option("--against", type=shared.FILE, metavar="DIR", help="a training folder: whatever is in both is a leak")
@shared.draws()
@shared.as_json
def audit(suite: str, given: str | None, against: Path | None, draws: int, as_json: bool) -> int:
    """Check whether real and fake can be told apart by their files alone, and look for duplicates."""
    from cnndetect.analysis.audit.table import as_text, audit_suite
    from cnndetect.analysis.audit.verdict import BIASED, training_facts
    from cnndetect.bench.suites import find_suites

    facts = training_facts(against) if against else []
    audits = [one for found in find_suites(given or suite) for one in audit_suite(found, against=facts, draws=draws)]
    shared.print_json([one.as_plain() for one in audits]) if as_json else click.echo(as_text(audits))
    return FAILED if any(one.verdict == BIASED or one.real.unreadable or one.fake.unreadable for one in audits) else DONE
