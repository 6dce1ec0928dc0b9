"""`paribus check`: everything that is wrong in experiment files, all at once."""

from pathlib import Path

from paribus.cli.output import note, plain, runs_told
from paribus.errors import ParibusError, SpecError, plural


def check(*files: Path) -> int:
    """Say everything that is wrong in experiment files, all at once.

    Parameters
    ----------
    files
        Experiments.
    """
    from paribus.spec.load import forgetting

    if not files:
        raise ParibusError("name at least one experiment file")
    right = True
    for file in files:
        with forgetting():
            right &= _is_right(file)
    return 0 if right else 2


def _is_right(file: Path) -> bool:
    """Whether a file has no mistakes; says what it holds, or what is wrong."""
    from paribus.planning import plan
    from paribus.spec.load import load

    try:
        loaded = load(file)
    except SpecError as error:
        note(str(error))
        return False
    planned = plan(loaded)
    arms = f"{plural(len(planned.arms) - 1, 'arm')} and the baseline"
    size = f"{arms}, {plural(len(planned.tasks), 'task')}, {plural(len(planned.seeds), 'seed')}"
    plain(f"{file}: right; {size}: {runs_told(planned)}")
    outside = sorted({part.kind for arm in loaded.arms for _, part in arm.setting.network.parts() if "." in part.kind})
    for kind in outside:
        plain(f"  imports {kind}, which is code of yours")
    for row in planned.arms:
        for told in row.notes.values():
            plain(f"  {row.name} {told}")
    return True
