"""`logitkd cache`: stored teacher logits, computed ahead of time, listed, checked and removed."""

import click

from keras_logitkd.cli import config_file, options, parameters, quiet, tables
from keras_logitkd.cli.grouping import WHAT, Group

_place = options.together(options.cache_dir_option, options.runs_option)


@click.group(cls=Group, invoke_without_command=True)
@options.option(
    "--teacher",
    type=parameters.teachers,
    group=WHAT,
    help="As for distill. [default: the recipe's]",
)
@options.teacher_epochs_option
@options.cache_options
@options.run_options
@config_file.config_option
@click.pass_context
def cache(context, **given):
    """Compute a teacher's logits ahead of time, or look at the stores that exist."""
    if context.invoked_subcommand is not None:
        return
    if given["no_cache"]:
        raise click.UsageError("'--no-cache' leaves nothing to do")
    quiet.load_tensorflow()
    from keras_logitkd.cli import session

    workspace = session.workspace_of(given)
    store = workspace.store_logits(given["teacher"], given["teacher_epochs"])
    _print([_row(store.path, store)], given["as_json"])


@cache.command("list")
@_place
@options.output_options
def list_stores(cache_dir, runs_dir, as_json):
    """List the stores with their sizes."""
    rows = [_row(*found) for found in _find(None, cache_dir, runs_dir)]
    if not rows and not as_json:
        click.echo("No stored logits.")
        return
    _print(rows, as_json)


@cache.command()
@click.argument("store")
@_place
def show(store, cache_dir, runs_dir):
    """Show what a store's logits are a function of."""
    ((_, found),) = _find(store, cache_dir, runs_dir)
    if found is None:
        raise click.UsageError(f"the manifest of {store} is damaged")
    content = {**found.about, **found.key.to_config(), "views": found.views, "bytes": found.size}
    tables.print_json(content)


@cache.command()
@click.argument("store", required=False)
@_place
@click.pass_context
def verify(context, store, cache_dir, runs_dir):
    """Read every byte of one store or of all; exit code 1 where something is damaged."""
    damaged = 0
    for path, found in _find(store or None, cache_dir, runs_dir):
        errors = _errors(found)
        damaged += bool(errors)
        click.echo(f"{path.name}: {'; '.join(errors) or f'{len(found.views)} views are whole'}")
    context.exit(1 if damaged else 0)


@cache.command()
@click.argument("store", required=False)
@click.option("--all", "every", is_flag=True, help="Remove all stores.")
@_place
def prune(store, every, cache_dir, runs_dir):
    """Remove a store, or all; runs compute again what they need."""
    if bool(store) == every:
        raise click.UsageError("name a store or give '--all'")
    from keras_logitkd.storage.logit_store import LogitStore

    chosen = _find(None if every else store, cache_dir, runs_dir)
    freed = 0
    for path, _ in chosen:
        freed += sum(file.stat().st_size for file in path.glob("*"))
        LogitStore.discard(path)
    click.echo(f"Removed {len(chosen)} store(s), {_megabytes(freed)}.")


_COLUMNS = ("store", "teacher", "split", "examples", "classes", "views", "dtype", "size")


def _find(name, cache_dir, runs_dir):
    """(path, store or None) of the one store whose name begins so; without a name, of each."""
    quiet.load_tensorflow()
    from keras_logitkd.cli import session

    stores = session.cache_at(cache_dir, runs_dir).stores()
    if name is None:
        return stores
    matches = [found for found in stores if found[0].name.startswith(name)]
    if len(matches) != 1:
        names = ", ".join(path.name for path, _ in stores) or "there is none"
        raise click.UsageError(f"{name!r} must name one store. Allowed: {names}")
    return matches


def _errors(store):
    """What is wrong with a store, a list of messages."""
    if store is None:
        return ["the manifest is damaged"]
    errors = []
    for view in store.views:
        try:
            store.read(view)
        except ValueError as error:
            errors.append(str(error))
    return errors


def _row(path, store):
    if store is None:
        return {**dict.fromkeys(_COLUMNS, "-"), "store": path.name, "teacher": "damaged"}
    return {
        "store": path.name,
        "teacher": store.about.get("teacher", "-"),
        "split": store.about.get("split", "-"),
        "examples": store.key.count,
        "classes": store.key.classes,
        "views": len(store.views),
        "dtype": store.key.dtype,
        "size": _megabytes(store.size),
    }


def _print(rows, as_json):
    if as_json:
        tables.print_json(rows)
    else:
        tables.print_table(_COLUMNS, [tuple(map(str, row.values())) for row in rows])


def _megabytes(count):
    return f"{count / 1e6:.1f} MB"
