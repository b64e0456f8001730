"""Chains: each network is the teacher of the next."""

import dataclasses

from keras_logitkd.experiments.sweep import Entry
from keras_logitkd.features.objective import HARD, of_column
from keras_logitkd.model_specs import is_spec
from keras_logitkd.runs.spec.cell import Cell


@dataclasses.dataclass(frozen=True)
class Link:
    """A network of a chain and how it is made."""

    model: str  # specification; for the first link also several, separated by commas
    loss: str | None = None  # text of an objective; None for the first link


def parse_links(texts):
    """Reads a chain such as `["wrn-28-4", "wrn-16-4:kl:3", "wrn-16-2:mse"]`: a list of `Link`s.

    Raises:
        ValueError: If there are fewer than two, the first has a loss, or another has none.
    """
    if len(texts) < 2:
        raise ValueError(f"A chain must have at least two networks. Received: {' '.join(texts)}")
    if ":" in texts[0] and not all(map(is_spec, texts[0].split(","))):
        raise ValueError(
            f"The first network of a chain is the teacher and has no loss. Received: {texts[0]}"
        )
    links = [Link(texts[0])]
    for text in texts[1:]:
        model, loss = _model_and_loss(text)
        if not (model and loss):
            raise ValueError(
                "Every network after the first must be MODEL:LOSS, such as wrn-16-2:mse or "
                f"wrn-16-4:kl:3. Received: {text}"
            )
        links.append(Link(model, loss))
    return links


def _model_and_loss(text):
    """The parts of a link, both of which may have colons; the loss is "" where there is none."""
    places = [place for place, letter in enumerate(text) if letter == ":"]
    splits = [(text[:place], text[place + 1 :]) for place in places]
    splits = [each for each in splits if is_spec(each[0])] or splits[:1] or [(text, "")]
    return next((each for each in splits if of_column(each[1]) is not None), splits[0])


def chain_entries(first, links, seeds, views=None, size=None):
    """Returns the cells of a chain, one chain for each seed from the same first teachers.

    Args:
        first: tuple of cells or files, the first link.
        links: the list of `Link`s after it.
        seeds: of all networks after the first.
        views: as in `Cell`.
        size: of the images of all networks after the first, as in `Cell`.

    Returns:
        List of `Entry`; rows are the places in the chain, columns the objectives.

    Raises:
        ValueError: If there are no seeds, or no such model or loss.
    """
    if not seeds:
        raise ValueError("`seeds` must not be empty. Received: none")
    entries = [Entry(f"1 {cell.model}", HARD, cell) for cell in first if isinstance(cell, Cell)]
    for seed in seeds:
        teachers = first
        for place, link in enumerate(links, start=2):
            cell = Cell(link.model, teachers, link.loss, seed=seed, views=views, size=size)
            entries.append(Entry(f"{place} {link.model}", link.loss, cell))
            teachers = (cell,)
    return entries
