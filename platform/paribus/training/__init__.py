"""One run -> one record, with Lightning, inside a worker."""


def prepare(threads: int) -> None:
    """Load what every run needs, and keep libraries quiet about what is meant to be so."""
    import logging
    import warnings

    warnings.filterwarnings("ignore")
    import torch

    torch.set_num_threads(threads)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    import paribus.training.fit  # noqa: F401
