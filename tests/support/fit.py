"""One run from its settings, as a `Job` in a workspace that has nothing else."""

from keras_logitkd.runs.job import Job
from keras_logitkd.runs.workspace import Workspace


def run(settings, dataset, directory, teachers=(), cache=None, callbacks=(), **fields):
    """Trains in a directory. `fields` are those of the `Workspace`. Returns the final numbers."""
    (callback,) = callbacks or (None,)
    if callback is not None:
        fields["progress"] = lambda label, examples: callback
    workspace = Workspace(dataset, settings.recipe, directory.path.parent, cache=cache, **fields)
    return Job(settings, workspace, directory, teachers).run()
