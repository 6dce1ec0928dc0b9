"""`paribus show`: all that is known of one run."""

from dataclasses import asdict

from paribus.cli import options
from paribus.cli.output import as_json, count, duration, plain, table


def show(
    run: str,
    /,
    *,
    store: options.Store = None,
    artifacts: options.Artifacts = None,
    json: options.Json = False,
) -> int:
    """Show all that is known of one run.

    Parameters
    ----------
    run
        The start of an id, or experiment/arm/seed.
    """
    from paribus.store.folder import open_store

    opened = open_store(store, create=False, artifacts=artifacts)
    member = opened.find(run)
    outcome = opened.database.outcomes([member.run])[member.run]
    attempts = opened.database.attempts(member.run)
    record = outcome.record
    if json:
        tree = None if record is None else asdict(record)
        as_json({**vars(member), "name": member.name, "attempts": attempts, "record": tree})
        return 0
    plain(f"{member.name}  {member.run}  {outcome.status}")
    for when, status, reason in attempts:
        plain(f"  {when[:19]}  {status}" + (f"  {reason}" if reason else ""))
    if record is None:
        return 0
    plain(
        f"  {record.steps} steps, {count(record.tokens)} tokens in {duration(record.seconds)}; "
        f"tested step {record.chosen_step}"
    )
    place = opened.whereabouts(member.run) or opened.absence()
    plain(f"  {count(record.cost.get('parameters', 0))} parameters; {place}")
    rows = [(s.split, s.metric, "" if s.value is None else f"{s.value:.6g}", s.reason) for s in record.scores]
    table("", ["split", "metric", "value", ""], rows, right=["value"])
    for text in record.notes:
        plain(text)
    environment = ", ".join(f"{name} {value}" for name, value in record.environment.items() if value not in ("", None))
    plain(environment)
    return 0
