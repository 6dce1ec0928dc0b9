"""`paribus import`: take over what another store holds."""

from paribus.cli import options
from paribus.cli.output import plain


def import_(other: str, /, *, store: options.Store = None) -> int:
    """Take over what another store holds: experiments, runs with all attempts, their folders, and searches.

    What is there already stays as it is, so that a second call changes nothing.

    Parameters
    ----------
    other
        The folder of the other store, or its postgresql:// address.
    store
        The folder of this store, or its postgresql:// address.
    """
    from paribus.store.folder import open_store

    source = open_store(other, create=False)
    target = open_store(store)
    taken = target.merge(source)
    if source.database.trial_experiments():
        from paribus.tuning.storage import merge

        taken.searches = merge(source, target)
    plain(
        f"{taken.experiments} experiments, {taken.attempts} attempts at {taken.runs} runs "
        f"and {taken.folders} run folders taken over"
    )
    if taken.searches or taken.trials:
        plain(f"{taken.searches} searches and {taken.trials} runs of trials as well")
    return 0
