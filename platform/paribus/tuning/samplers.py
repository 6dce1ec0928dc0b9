"""Optuna's samplers and pruners, with every argument written out: defaults of a library change between releases."""

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler

from paribus.errors import shown
from paribus.spec.tuning import Range, Tuning

STARTUP = 10  # trials at random before a model of the earlier ones is believed
LISTED = ("grid", "qmc")  # samplers whose points do not depend on results


def seed_of(tuning: Tuning, *names: str) -> int:
    """The seed of one search: its own for each arm and task, and the same whatever stands beside it."""
    digest = hashlib.sha256("/".join([str(tuning.seed), *names]).encode()).digest()
    return int.from_bytes(digest[:4], "big") % 2**31


def sampler(name: str, seed: int) -> BaseSampler:
    """A new sampler; the adaptive ones get a seed of their own for each trial, so that a search can be gone on with."""
    if name == "tpe":
        return optuna.samplers.TPESampler(
            n_startup_trials=STARTUP,
            n_ei_candidates=24,
            seed=seed,
            multivariate=True,
            group=True,  # conditional keys are modelled with those that they come with
            constant_liar=True,
        )
    if name == "gp":
        return optuna.samplers.GPSampler(
            seed=seed,
            independent_sampler=optuna.samplers.RandomSampler(seed=seed),
            n_startup_trials=STARTUP,
            deterministic_objective=False,
            warn_independent_sampling=False,
        )
    if name == "cmaes":
        return optuna.samplers.CmaEsSampler(
            x0=None,
            sigma0=None,
            n_startup_trials=1,
            independent_sampler=optuna.samplers.RandomSampler(seed=seed),
            warn_independent_sampling=False,
            seed=seed,
            consider_pruned_trials=False,
            use_separable_cma=False,
            with_margin=False,
            lr_adapt=False,
            source_trials=None,
        )
    if name == "qmc":
        return optuna.samplers.QMCSampler(
            qmc_type="sobol",
            scramble=True,
            seed=seed,
            independent_sampler=optuna.samplers.RandomSampler(seed=seed),
            warn_asynchronous_seeding=False,
            warn_independent_sampling=False,
        )
    return optuna.samplers.RandomSampler(seed=seed)


def pruner(tuning: Tuning, evaluations: int | None) -> BasePruner:
    """A pruner; steps are evaluations counted from 1, or seeds counted from 0."""
    if tuning.pruner == "median":
        # Early values of high learning rates mislead: the first third of a run is not judged.
        warmup = 3 * (evaluations or 0) // 10
        return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=warmup, interval_steps=1, n_min_trials=1)
    if tuning.pruner == "hyperband":
        return optuna.pruners.HyperbandPruner(
            min_resource=1, max_resource=evaluations or "auto", reduction_factor=3, bootstrap_count=0
        )
    if tuning.pruner == "wilcoxon":
        return optuna.pruners.WilcoxonPruner(p_threshold=0.1, n_startup_steps=2)
    return optuna.pruners.NopPruner()


def distribution(found: Range) -> BaseDistribution:
    """Optuna's word for a range; a choice goes by its label."""
    if found.choices is not None:
        return CategoricalDistribution(list(labels(found)))
    assert found.low is not None and found.high is not None
    if found.whole:
        return IntDistribution(int(found.low), int(found.high), log=found.log, step=int(found.step or 1))
    step = None if found.step is None else float(found.step)
    return FloatDistribution(float(found.low), float(found.high), log=found.log, step=step)


def labels(found: Range) -> dict[Any, Any]:
    """Choices by what Optuna calls them: plain values as they are, mappings and lists as text."""
    plain = (str, int, float, bool, type(None))
    return {choice if isinstance(choice, plain) else _text(choice): choice for choice in found.choices or []}


def label(found: Range, value: Any) -> Any:
    """What Optuna calls a value."""
    return next((name for name, choice in labels(found).items() if choice == value), value)


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(_text(item) for item in value) + "]"
    return value if isinstance(value, str) else shown(value)


def quiet() -> None:
    """Optuna tells of every trial, and of what is experimental in it; the ledger does the telling here."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
