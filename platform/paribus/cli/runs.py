"""`paribus runs`: list runs."""

from paribus.cli import options
from paribus.cli.output import as_json, table
from paribus.errors import ParibusError, StoreError, suggestion

STATUSES = ("ok", "diverged", "crashed", "timeout", "interrupted", "pending")


def runs(
    experiment: str | None = None,
    /,
    *,
    status: str | None = None,
    store: options.Store = None,
    json: options.Json = False,
) -> int:
    """List runs.

    Parameters
    ----------
    experiment
        Only those of one experiment.
    status
        Only those of one status: ok, diverged, crashed, timeout, interrupted, pending.
    """
    from paribus.store.folder import open_store

    if status is not None and status not in STATUSES:
        raise ParibusError(f"--status: there is no status '{status}'{suggestion(status, STATUSES)}")
    opened = open_store(store, create=False)
    members = opened.database.members(experiment)
    if experiment is not None and not members:
        known = {member.experiment for member in opened.database.members()}
        raise StoreError(f"the store has no experiment called '{experiment}'{suggestion(experiment, known)}")
    chosen = [member for member in members if status in (None, member.status)]
    scores = opened.database.main_scores(chosen)
    if json:
        as_json([{**vars(member), "name": member.name, "score": scores.get(member.run)} for member in chosen])
        return 0
    rows = []
    for member in chosen:
        score = scores.get(member.run)
        shown = (
            ""
            if score is None
            else f"{score['metric']} {score['value']:.4g} on {score['split']}"
            if score["value"] is not None
            else score["reason"]
        )
        rows.append((member.run, member.name, member.status, shown))
    table("", ["run", "name", "status", "score"], rows)
    return 0
