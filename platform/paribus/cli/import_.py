"""`paribus import`: take over what another store holds."""

from typing import Annotated

from cyclopts import Parameter

from paribus.cli import options
from paribus.cli.output import note, plain
from paribus.errors import plural


def import_(
    other: str,
    /,
    *,
    store: options.Store = None,
    artifacts: Annotated[
        str | None,
        Parameter(
            help="Where the run folders of the other store lie, if not in it: a folder, or a URL. "
            "PARIBUS_ARTIFACTS says where those of this store go."
        ),
    ] = None,
) -> int:
    """Take over what another store holds: experiments, runs with all attempts, their folders, and searches.

    What is there already stays as it is, so that a second call changes nothing.

    Parameters
    ----------
    other
        The folder of the other store, or its postgresql:// address.
    store
        The folder of this store, or its postgresql:// address.
    """
    from paribus.cli.tune import watcher_for
    from paribus.store.folder import open_store

    source = open_store(other, create=False, artifacts=artifacts or "")
    target = open_store(store)
    before = target.lacking()
    taken = target.merge(source)
    if source.database.trial_experiments():
        from paribus.tuning.merging import merge

        taken.searches, taken.added = merge(source, target, watcher_for(quiet=True))
    plain(
        f"{plural(taken.experiments, 'experiment')}, {plural(taken.attempts, 'attempt')} at "
        f"{plural(taken.runs, 'run')} and {plural(taken.folders, 'run folder')} taken over"
    )
    if taken.searches or taken.trials:
        plain(f"{plural(taken.searches, 'search', 'searches')} and {plural(taken.trials, 'run')} of trials as well")
    if taken.added:
        plain(f"{plural(taken.added, 'trial')} added to searches that both stores have")
    if missing := target.lacking() - before:
        note(
            f"{plural(len(missing), 'run')} came without a folder, so without weights; if those lie elsewhere, "
            "say where with --artifacts and import again"
        )
    return 0
