"""The commands. Each stands in its own file and is loaded when it is called, so `--help` is quick."""

from cyclopts import App

app = App(
    name="paribus",
    help="Architecture ablations of sequence models: one YAML file in, one honest report out.",
    version="0.1.0",
    version_flags=["--version"],
    help_flags=["--help", "-h"],
    suppress_keyboard_interrupt=False,  # main says how to go on
)

COMMANDS = {
    "init": "Write a commented experiment file to start from.",
    "check": "Say everything that is wrong in experiment files, all at once.",
    "plan": "Show arms, cost, and how long what is still to be trained will take; trains nothing.",
    "run": "Train what is missing, then write the report.",
    "tune": "Search for the best settings of every arm, without comparing them yet.",
    "report": "Write the report again from what is stored.",
    "compare": "Compare the arms of a table that was made elsewhere.",
    "confirm": "Train an arm and the baseline again on fresh seeds.",
    "status": "Say how far experiments are.",
    "runs": "List runs.",
    "show": "Show all that is known of one run.",
    "predict": "Say what a trained run writes for a text.",
    "attend": "Show where a trained run looks while it reads and writes.",
    "diff": "Show how two runs, arms or files differ.",
    "export": "Write scores as a table.",
    "import": "Take over what another store holds.",
    "exclude": "Leave a run out of reports, with a reason that they print.",
    "gc": "Say what is left over, or remove it, or one run.",
    "parts": "List the swappable parts, or show those of a family.",
    "check-part": "Ask a part for every promise of its family.",
    "explain": "Say what a key of an experiment file means.",
    "wandb": "Send runs to Weights & Biases that it lacks.",
    "schema": "Print the JSON Schema of experiment files, for editors.",
    "doctor": "Say whether this machine is ready.",
}

for name, text in COMMANDS.items():
    module = "import_" if name == "import" else name.replace("-", "_")  # import is a word of Python's own
    app.command(f"paribus.cli.{module}:{module}", name=name, help=text)
