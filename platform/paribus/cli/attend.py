"""`paribus attend`: where a trained run looks while it reads and writes."""

from pathlib import Path

from paribus.cli import options
from paribus.cli.output import as_json, note, plain, table


def attend(
    run: str,
    /,
    *,
    text: str,
    target: str | None = None,
    to: Path | None = None,
    store: options.Store = None,
    artifacts: options.Artifacts = None,
    json: options.Json = False,
) -> int:
    """Show where a trained run looks while it reads and writes.

    Parameters
    ----------
    run
        The start of an id, or experiment/arm/seed.
    text
        A source, such as "three thousand and forty two".
    target
        What is written meanwhile; if left out, what the run writes by itself.
    to
        The page to write; attention.html if left out.
    """
    from paribus import api
    from paribus.report import heatmaps
    from paribus.report.write import place
    from paribus.training import asking

    network, data = api.loaded_run(run, store=store, artifacts=artifacts)
    answer = asking.predict(network, data, text)
    written = answer.target if target is None else asking.tokens(target, data.target_vocabulary)
    look = asking.attend(network, data, answer.source, written)
    if answer.unknown:
        note(f"never met in training: {', '.join(answer.unknown)}")
    if json:
        weights = {path: array.round(4).tolist() for path, array in look.weights.items()}
        as_json({"encoder": look.encoder, "decoder": look.decoder, "written": answer.text, "weights": weights})
        return 0
    path, name = next(heatmaps.named(look.weights))
    rows = [
        (found.token, found.key, f"{found.weight:.2f}", found.sharpest_key, f"{found.sharpest:.2f}", found.head)
        for found in heatmaps.strongest(path, look.encoder, look.decoder, look.weights[path])
    ]
    heads = ["token", "looks most at", "mean weight", "sharpest head at", "weight", "head"]
    plain(f"writes: {answer.text}")
    table(name, heads, rows, right=["mean weight", "weight", "head"])
    told = data.task.target_text(written)
    picture = heatmaps.page(run, text, told, look.encoder, look.decoder, look.weights)
    plain(f"Pictures of every layer and head: {place(to or Path('attention.html'), picture)}")
    return 0
