"""The options that several commands have, with what their help says."""

from typing import Annotated

from cyclopts import Parameter

Flag = Annotated[bool, Parameter(negative="")]  # told of where it stands
Store = Annotated[
    str | None,
    Parameter(help="The folder of the store, or postgresql://USER:PASSWORD@HOST/DATABASE for several machines."),
]
Artifacts = Annotated[
    str | None,
    Parameter(help="Where run folders lie: a folder, or a URL such as s3://BUCKET/RUNS; in the store if left out."),
]
Json = Annotated[bool, Parameter(negative="", help="Print JSON.")]
Quiet = Annotated[bool, Parameter(negative="", help="Show no progress, only results and what goes wrong.")]

# What an experiment is made of, other than its file says
Sets = Annotated[
    list[str] | None,
    Parameter(
        name="--set",
        negative="",
        help="Change the baseline, such as --set training.steps=200; may be given several times.",
    ),
]
Arms = Annotated[
    list[str] | None,
    Parameter(negative="", help="Only this arm and the baseline; may be given several times."),
]
Seeds = Annotated[
    list[int] | None,
    Parameter(
        negative="",
        help="These seeds instead of the file's, with a report of their own; may be given several times, and one "
        "number n means 1 to n.",
    ),
]

# How runs are trained
Workers = Annotated[int | None, Parameter(help="How many runs at once; one per core or GPU if left out.")]
On = Annotated[
    str,
    Parameter(
        help="Where: local, ray (the Ray cluster that this machine is in, or one started here) or ray://HOST:PORT."
    ),
]
GpusPerRun = Annotated[float | None, Parameter(help="The share of a GPU for each run, such as 0.25; one if left out.")]
MaxHours = Annotated[float | None, Parameter(help="Stop in order after so many hours; the same command goes on.")]
MaxFailures = Annotated[int | None, Parameter(help="Stop in order once more runs than this have failed.")]
