"""`paribus predict`: what a trained run writes for a text."""

from paribus.cli import options
from paribus.cli.output import as_json, note, plain


def predict(
    run: str,
    /,
    *,
    text: str,
    store: options.Store = None,
    artifacts: options.Artifacts = None,
    json: options.Json = False,
) -> int:
    """Say what a trained run writes for a text.

    Parameters
    ----------
    run
        The start of an id, or experiment/arm/seed.
    text
        A source, such as "three thousand and forty two".
    """
    from paribus import api
    from paribus.training.asking import predict as asked

    network, data = api.loaded_run(run, store=store, artifacts=artifacts)
    answer = asked(network, data, text)
    if json:
        as_json(vars(answer))
        return 0
    if answer.unknown:
        note(f"never met in training: {', '.join(answer.unknown)}")
    plain(answer.text)
    return 0
