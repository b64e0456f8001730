"""What is on a page, before it is HTML: text, tables, pictures, findings."""

import base64
import dataclasses
import hashlib
import importlib.metadata
import io
import json
import math

import jinja2
import markupsafe

TEXT, PERCENT, NUMBER, INTEGER, SECONDS = "text", "percent", "number", "integer", "seconds"
VERSION = importlib.metadata.version("keras-logitkd")
_DPI = 150


@dataclasses.dataclass(frozen=True)
class Table:
    """A table that sorts by a click on a heading.

    Args:
        caption: one line, plain text.
        columns: list of (heading, kind); the kind is text, percent (of a share in [0, 1]), number,
            integer or seconds.
        rows: list of lists of values, as many as there are columns. None is shown as a dash; text
            stays as it is in any column.
    """

    caption: str
    columns: list
    rows: list


@dataclasses.dataclass(frozen=True)
class Image:
    """A picture in the page itself.

    Args:
        title: heading, plain text.
        alt: what is to be seen, for those who cannot see it.
        source: a data URI.
    """

    title: str
    alt: str
    source: str


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of a page under a heading; what it does not have is left out.

    Args:
        title: heading, plain text.
        text: list of paragraphs, plain text.
        facts: list of (name, value), plain text.
        tables: list of `Table`.
        images: list of `Image`.
        findings: list of (about, list of findings): `Finding`s of the diagnosis of something.
        claims: list of (outcome, text).
        code: list of (caption, text) that is shown as it is.
        details: list of (summary, list of (name, value)), closed at first.
    """

    title: str
    text: list = dataclasses.field(default_factory=list)
    facts: list = dataclasses.field(default_factory=list)
    tables: list = dataclasses.field(default_factory=list)
    images: list = dataclasses.field(default_factory=list)
    findings: list = dataclasses.field(default_factory=list)
    claims: list = dataclasses.field(default_factory=list)
    code: list = dataclasses.field(default_factory=list)
    details: list = dataclasses.field(default_factory=list)

    @property
    def anchor(self):
        """The name that links to the section use."""
        return "-".join(self.title.lower().split())


@dataclasses.dataclass(frozen=True)
class Page:
    """A whole page.

    Args:
        kind: what it is about: "Run", "Sweep" or "Search".
        title: heading, plain text.
        lead: the most important sentence.
        sections: list of `Section`.
        version: of this package. Defaults to the one that is installed.
    """

    kind: str
    title: str
    lead: str
    sections: list
    version: str = VERSION


def render(page):
    """Returns a `Page` as one HTML document that needs nothing else."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("keras_logitkd.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = shown
    environment.filters["sort_key"] = sort_key
    script, style = (
        environment.loader.get_source(environment, name)[0] for name in ("sort.js", "style.css")
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("page.html").render(
        page=page,
        script=markupsafe.Markup(script),  # noqa: S704  ours
        style=markupsafe.Markup(style),  # noqa: S704
        script_digest=digest,
    )


def picture_image(picture):
    """Returns the `Image` of a `Picture` of the analysis, whose title moves into the page."""
    content = io.BytesIO()
    picture.figure.suptitle("")
    picture.figure.savefig(content, format="png", dpi=_DPI, metadata={"Software": None})
    return Image(picture.title, picture.alt, data_uri(content.getvalue()))


def data_uri(png):
    """Returns the bytes of a PNG file as a data URI."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def shown(value, kind=TEXT):
    """Returns a value as people read it."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, str):
        return value
    if isinstance(value, float) and math.isinf(value):
        return "∞"
    formats = {PERCENT: lambda x: f"{100 * x:.2f}%", INTEGER: "{:,}".format}
    formats |= {NUMBER: "{:.4g}".format, SECONDS: "{:,.1f}".format}
    return formats.get(kind, str)(value)


def sort_key(value):
    """Returns what a cell is sorted by: a number, or text for text and nothing for a dash."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return value if isinstance(value, str) else json.dumps(float(value))
