"""`logitkd report`: one HTML page on a run, a sweep or a search."""

import functools

import click

from keras_logitkd.cli import options, quiet, tables


@click.command()
@click.argument("what", metavar="RUN_OR_SWEEP")
@click.option(
    "--output", type=click.Path(dir_okay=False), help="The file. [default: report.html in there]"
)
@click.option(
    "--quick", is_flag=True, help="Leave out pictures and diagnosis, which run the networks."
)
@options.data_dir_option
@options.cache_dir_option
@options.runs_option
@options.output_options
def report(what, output, quick, data_dir, cache_dir, runs_dir, as_json):
    """Write one self-contained HTML file on a run, a sweep or a search.

    RUN_OR_SWEEP is the directory of a run or of a search, or its name in --runs-dir, or the output
    directory of `reproduce`, `noise` or `sequential`. The page has the final table, curves,
    pictures, the diagnosis, and the command and versions to run it again. It loads nothing.
    """
    quiet.load_tensorflow()
    from keras_logitkd import report
    from keras_logitkd.cli import session

    cache = functools.partial(session.cache_at, cache_dir)
    file = report.write_page(what, output, runs_dir, data_dir, cache, networks=not quick)
    if as_json:
        tables.print_json({"file": str(file)})
        return
    click.echo(f"report saved as {file}")
