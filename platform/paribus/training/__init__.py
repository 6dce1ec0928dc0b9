"""One run -> one record, with Lightning, inside a worker."""


def load() -> None:
    """Load what every run needs."""
    import gc
    import warnings

    warnings.filterwarnings("ignore")
    gc.disable()  # while all is new, a third of the time would go into looking for what is not needed any more
    try:
        import paribus.training.fit  # noqa: F401
    finally:
        gc.enable()
    gc.freeze()  # a collection would touch, and so copy, all that forked processes share


def prepare(threads: int) -> None:
    """Load what every run needs, and keep libraries quiet about what is meant to be so."""
    load()
    import logging

    import torch

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.set_num_threads(threads)
