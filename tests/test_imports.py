"""Who imports whom, and what is not loaded before it is needed."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import paribus

SOURCE = Path(paribus.__file__).parent

# Layer -> the layers of paribus that it may import, and the heavy libraries that it may load.
LAYERS: dict[str, tuple[set[str], set[str]]] = {
    "errors": (set(), set()),
    "processes": (set(), set()),
    "parts": ({"errors"}, {"pydantic", "torch"}),
    "spec": ({"errors", "parts"}, {"pydantic", "ruamel"}),
    "planning": ({"errors", "parts", "spec"}, set()),
    "network": ({"errors", "parts", "spec"}, {"torch"}),
    "cost": ({"errors", "parts", "spec", "network"}, {"torch"}),
    "store": ({"errors", "planning"}, {"sqlalchemy", "alembic", "pandas", "numpy"}),
    "training": (
        {"errors", "parts", "spec", "planning", "network", "cost", "store.record", "store.kept"},
        {"torch", "numpy", "lightning", "safetensors"},
    ),
    "promises": ({"errors", "parts", "spec", "network"}, {"torch"}),
    "running": ({"errors", "processes", "planning", "store"}, set()),
    "tuning": ({"errors", "spec", "planning", "running", "store"}, {"optuna", "sqlalchemy", "numpy"}),
    "stats": ({"errors"}, {"numpy", "scipy", "statsmodels", "pandas"}),
    "report": (
        {"errors", "planning", "stats", "store", "spec.analysis", "spec.claims"},
        {"jinja2", "altair", "vl_convert", "pandas", "numpy"},
    ),
}
# Workers name what they run, and import it when they run it.
# The promise of metrics asks the evaluation that runs use.
INSIDE_FUNCTIONS = {
    "running": ({"training", "parts"}, {"torch"}),
    "parts": (set(), {"wandb"}),
    "store": ({"store"}, {"alembic", "fsspec"}),
    "promises": ({"training"}, set()),
}
ONLY_IN = {"ray": {"running/ray.py"}}  # libraries that one file alone may load, and late
ANYTHING = {"cli", "api", "__init__", "__main__"}
HEAVY = {
    "torch", "lightning", "optuna", "wandb", "pandas", "numpy", "pydantic", "ruamel", "sqlalchemy", "alembic", "scipy",
    "statsmodels", "jinja2", "altair", "vl_convert", "ray", "sacrebleu", "safetensors", "rich", "cyclopts", "fsspec",
}  # fmt: skip


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def imports(file: Path) -> Iterator[tuple[str, bool, bool]]:
    """(module, whether inside a function, whether for types only) of every import."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    for_types = {
        id(node)
        for test in ast.walk(tree)
        if isinstance(test, ast.If) and ast.unparse(test.test) == "TYPE_CHECKING"
        for node in ast.walk(test)
    }
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names = [f"{module}.{name.name}" for name in node.names] if module.startswith("paribus") else [module]
        for name in names:
            yield name, id(node) in inside, id(node) in for_types


def layer_of(file: Path) -> str:
    parts = file.relative_to(SOURCE).with_suffix("").parts
    return parts[0]


@pytest.mark.parametrize("file", modules(), ids=lambda file: str(file.relative_to(SOURCE)))
def test_each_layer_imports_only_what_lies_below_it(file: Path) -> None:
    layer = layer_of(file)
    if layer in ANYTHING:
        return
    own, heavy = LAYERS[layer]
    late_own, late_heavy = INSIDE_FUNCTIONS.get(layer, (set(), set()))
    for name, inside, for_types in imports(file):
        top, _, rest = name.partition(".")
        if top == "paribus":
            target = rest.split(".")[0]
            allowed = own | {layer} | (late_own if inside else set())
            fits = target in allowed or any(rest == name or rest.startswith(f"{name}.") for name in allowed)
            assert fits or for_types, f"{file.name} imports {name}"
        elif top in HEAVY:
            alone = inside and str(file.relative_to(SOURCE)) in ONLY_IN.get(top, set())
            assert alone or top in heavy | (late_heavy if inside else set()) or for_types, f"{file.name} loads {name}"


def test_nobody_shadows_the_platform_module_of_python() -> None:
    assert not (SOURCE.parent / "__init__.py").exists()
    root = SOURCE.parent.parent
    subprocess.run([sys.executable, "-c", "import platform; platform.system()"], cwd=root, check=True)


def loaded_by(code: str, folder: Path) -> set[str]:
    """Heavy libraries that are loaded once some code has run in a process of its own."""
    watched = {"torch", "lightning", "optuna", "wandb", "fsspec", "scipy.stats"}
    text = f"import sys\n{code}\nprint('LOADED', *sorted({watched!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", text], cwd=folder, capture_output=True, text=True, check=True)
    return set(done.stdout.split("LOADED")[1].split())


def call(*words: str) -> str:
    return (
        "from paribus.__main__ import main\n"
        f"try:\n    main({list(words)!r})\nexcept SystemExit as ended:\n    assert not ended.code, ended.code"
    )


def test_importing_paribus_and_asking_for_help_load_nothing_heavy(tmp_path: Path) -> None:
    assert loaded_by("import paribus; paribus.__version__; dir(paribus)", tmp_path) == set()
    assert loaded_by(call("--help"), tmp_path) == set()
    assert loaded_by(call("run", "--help"), tmp_path) == set()
    assert loaded_by(call("tune", "--help"), tmp_path) == set()


def test_checking_and_planning_never_load_lightning(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: a\ntask: {kind: copy, longest: 5}\n")
    for words in (["check"], ["plan", "--no-probe"]):  # the probe has a process of its own
        assert loaded_by(call(*words, "a.yaml"), tmp_path) == {"torch"}
