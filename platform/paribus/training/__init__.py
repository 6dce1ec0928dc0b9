"""One run -> one record, with Lightning, inside a worker."""


def prepare(threads: int) -> None:
    """Load what every run needs, and keep libraries quiet about what is meant to be so."""
    import logging

    import paribus.training.loaded

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    import torch

    import paribus.training.fit  # noqa: F401

    torch.set_num_threads(threads)
