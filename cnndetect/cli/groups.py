"""Groups of verbs: a verb is imported when it is called, and an unknown name gets the nearest one as a suggestion."""

from __future__ import annotations

import difflib
from importlib import import_module

import click


class Verbs(click.Group):
    """verbs: name -> (module:command, one line of help).  default: the verb of a call that starts with an option, or is empty.  also: older names.

    A default verb's options may follow the group's own name: ``cnndetect bench --suite mini`` is ``cnndetect bench run --suite mini``.
    """

    def __init__(
        self, name: str, verbs: dict[str, tuple[str, str]], *, default: str | None = None, also: dict[str, str] | None = None,
        help: str, epilog: str = "",
    ) -> None:  # fmt: skip
        super().__init__(name, help=help, epilog=epilog or None, no_args_is_help=default is None)
        self.verbs, self.default, self.also = verbs, default, also or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.verbs:
            return None
        module, _, attribute = self.verbs[cmd_name][0].partition(":")
        return getattr(import_module(module), attribute)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if self.default and (not args or (args[0].startswith("-") and args[0] not in ("--help", "-h"))):
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        args = [self.also.get(args[0], args[0]), *args[1:]]
        if args[0] not in self.verbs:
            near = difflib.get_close_matches(args[0], self.verbs, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"{ctx.command_path} has no verb {args[0]!r}.{hint} Verbs: {', '.join(self.verbs)}.", ctx)
        return super().resolve_command(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Options of the group and of its default verb, then the verbs."""
        params = self.get_params(ctx)
        if self.default and (command := self.get_command(ctx, self.default)):
            params = [*(param for param in command.params if isinstance(param, click.Option)), *params]
        rows = [row for param in params if (row := param.get_help_record(ctx))]
        with formatter.section(
            f"Options of {self.default!r}, which is meant where none of the verbs below is given" if self.default else "Options"
        ):
            formatter.write_dl(rows)
        with formatter.section("Verbs"):
            formatter.write_dl([(name, text) for name, (_, text) in self.verbs.items()])
