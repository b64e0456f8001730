"""A figure with what is said about it."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Picture:
    """A figure, its name, its heading, and a sentence for those who cannot see it.

    Args:
        name: of its files without ending, such as "logit_sums".
        title: a heading, plain text.
        alt: one sentence that says what is to be seen, with numbers; the text alternative in HTML.
        figure: a matplotlib Figure.
    """

    name: str
    title: str
    alt: str
    figure: object
