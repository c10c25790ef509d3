"""The command group: finds its verbs by name, and turns what goes wrong into exit codes."""

from __future__ import annotations

import gc
import io
import sys
from importlib import import_module

import click

from sim.cli.terminal import say
from sim.errors import Fault

VERBS = {
    "run": "Run experiments: what is missing is drawn, then all is summarized.",
    "extend": "Add to a result what a larger experiment asks for; what is there stays.",
    "plan": "Say what a run will cost and how well it will know each bias, before it is run.",
    "validate": "Check configuration files and name every fault with its place.",
    "status": "Say how far a run has come.",
    "verify": "Check every file of a run, to the bit, and name each bad one.",
    "analyze": "Make summary, convergence and comparison anew from the trials that are there.",
    "compare": "Say in what two results differ beyond their errors.",
    "report": "Write what a result says: a page in one file, or its pictures.",
    "replay": "Give one trial again, bit for bit, and hold it against what is stored.",
    "estimate": "Estimate a divergence from your own counts, by every estimator that applies.",
    "floor": "Say how much is counted when nothing differs: is what you counted noise?",
    "size": "Say how many draws bring an estimate near enough to the truth.",
    "list": "List the kinds of bags, models, learners, estimators and intervals.",
    "schema": "Print the JSON Schema of an experiment file, for editors.",
    "init": "Write a small experiment to begin with.",
}


class Verbs(click.Group):
    """Imports a verb when it is called: help needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order of a day's work."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the verb, None where there is none of that name."""
        if cmd_name not in VERBS:
            return None
        command: click.Command = import_module(f"sim.cli.{cmd_name}").command
        gc.freeze()
        gc.enable()
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs into the help text without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="klsim")
def group() -> None:
    """Say how far a counted KL divergence is from the true one, and with what error.

    Exit codes: 0 done, 1 unexpected, 2 usage or invalid configuration, 3 finished with failed
    estimates, 4 what lies in that directory is another experiment, in use, or no file of a run,
    5 finished without the precision that `stop` asks for (3 comes before it), 6 a check failed
    (verify, replay, compare), 130 interrupted.
    """


def code() -> int:
    """Run the verb that was asked for and return its exit code, what went wrong told on stderr."""
    try:
        code = group.main(standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        told = io.StringIO()
        error.show(told)
        say(told.getvalue().rstrip("\n"), err=True)
        return error.exit_code
    except click.Abort:
        raise KeyboardInterrupt from None
    except Fault as fault:
        _say(str(fault))
        return fault.exit_code
    except (SystemExit, BrokenPipeError):  # whoever read has gone: click's way to say it, and ours
        return 1
    except OSError as error:
        _say(f"{error.filename or 'system'}: {error.strerror or error}")
        return 1


def _say(message: str) -> None:
    say(f"klsim: {message}" if "\n" not in message else message, err=True)
