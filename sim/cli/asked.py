"""What `floor` and `size` are asked with: what is in the bag, an estimator, a target, trials."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from pydantic import ValidationError
from rich.console import Console

from sim.asked import by_label
from sim.checks import shown
from sim.cli.colours import Numbers
from sim.cli.progress import watching
from sim.compositions import composition
from sim.divergences import divergence
from sim.families import Composition

_KEYS = {
    "zipf": ("colours", "exponent"),
    "uniform": ("colours",),
    "geometric": ("colours", "ratio"),
    "dirichlet": ("colours", "concentration", "seed"),
}

Typed = list[float] | dict[str, float] | Composition
"""Balls by place, by name, or of a family."""


class Balls(click.ParamType[Typed]):
    """Balls by colour, 10,15 or red=10,blue=15; or a family, zipf:1000:1."""

    name = "balls"

    def convert(
        self, value: str | Typed, param: click.Parameter | None, ctx: click.Context | None
    ) -> Typed:
        """Return the balls: a list where nobody named the colours."""
        if not isinstance(value, str):
            return value
        family, colon, rest = value.partition(":")
        if colon and "=" not in value:
            return self._family(family.strip(), rest.split(":"))
        named = Numbers().convert(value, param, ctx)
        return list(named.values()) if named.by_place else dict(named)

    def _family(self, family: str, texts: list[str]) -> Composition:
        keys = _KEYS.get(family)
        form = " or ".join(":".join((name, *each)) for name, each in _KEYS.items())
        if keys is None or len(texts) > len(keys):
            self.fail(f"expected {form}; got {shown(':'.join((family, *texts)))}")
        try:
            numbers = [float(text) for text in texts]
        except ValueError:
            self.fail(f"expected numbers, as in {form}; got {shown(':'.join(texts))}")
        return _built(family, dict(zip(keys, numbers, strict=False)))


def _built(family: str, keys: dict[str, Any]) -> Composition:
    try:
        return composition({family: keys})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise click.BadParameter(f"{place}: {first['msg']}; got {shown(first['input'])}") from None


def contents(balls: Typed | None, colours: int | None) -> Typed:
    """Return what is in the bag, from the one option of the two that is given."""
    if (balls is None) == (colours is None):
        raise click.UsageError("expected --balls 10,15, or --colours 50 for as many alike")
    if balls is None:
        return _built("uniform", {"colours": colours})
    return balls


def bag(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say what is in the bag."""
    for option in (
        click.option("--colours", type=int, metavar="K", help="So many colours, all alike."),
        click.option(
            "--balls",
            type=Balls(),
            metavar="BALLS",
            help="Balls or weights by colour: 10,15 or red=10,blue=15; or zipf:1000:1.",
        ),
    ):
        command = option(command)
    return command


def how(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say what is estimated by what, and how it is drawn."""
    for option in (
        click.option("--seed", type=int, default=0, show_default=True, help="Of the trials."),
        click.option(
            "--unit", type=click.Choice(["nats", "bits"]), default="nats", show_default=True
        ),
        click.option("--target", default="kl", show_default=True, help="kl, js, renyi(2), …"),
        click.option(
            "--estimator",
            default="plug_in",
            show_default=True,
            help='As `klsim estimate` names it: miller_madow, "plug_in (laplace)".',
        ),
    ):
        command = option(command)
    return command


@contextmanager
def keys(verb: str, given: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what an answer is asked with, from the options of `how`; it tells its progress."""
    parameters = by_label(given.pop("estimator"))
    kind = parameters.pop("kind")
    with watching(verb, Console(stderr=True)) as watch:
        yield {**given, **parameters, "estimator": kind, "watch": watch}


def name_of(estimator: str, target: str) -> str:
    """Return what people call the estimate."""
    words = {"kl": "KL"}.get(target, target)
    return f"a counted {words}" if estimator == "plug_in" else f"{words} by {estimator}"


def units(target: str, unit: str) -> str:
    """Return ` nats` or ` bits`, nothing for a target without a unit."""
    known = divergence(target)
    return "" if known is None or known.bit == 1 else f" {unit}"


def in_100(share: float) -> str:
    """Return `95 of 100 cases`."""
    return f"{100 * share:.10g} of 100 cases"


def many(number: int, what: str) -> str:
    """Return `200 draws`, `1 colour`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
