"""The command `vedette`: names and options of its commands.

A command's own module is imported only when the command is called, so that help and completion
answer at once and only the commands that score load torch. The file is long because it lists the
options of all commands; it does nothing else.
"""

import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Literal

import typer

from pipeline.cli import camera, event, token
from pipeline.cli.errors import debug_wanted, report
from pipeline.cli.service_options import DEFAULT_URL, CaFile, Json, Url

app = typer.Typer(
    name="vedette",
    help="Watches fixed cameras and alerts when something happens that has no place in the scene.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(camera.app, name="camera")
app.add_typer(event.app, name="event")
app.add_typer(token.app, name="token")

Preset = Literal["paper", "paper-5", "vedette"]
Objective = Literal["discriminative", "contrastive", "both"]
Shrinkage = Literal["soft", "sigshrink", "nonnegative", "none"]
Langevin = Literal["bounded", "literal"]
Dataset = Literal["ucsd-ped1", "ucsd-ped2", "avenue", "shanghaitech", "mvtec"]
Config = Annotated[
    Path, typer.Option("--config", "-c", help="Configuration file.", show_default=True)
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Heatmap = Literal["cells", "gradient"]
HeatmapOption = Annotated[
    Heatmap, typer.Option(help="Anomaly map of the cells, or the gradient of the energy.")
]
Weights = Annotated[str, typer.Option(help="Name of shipped weights, or path of a checkpoint.")]


def main() -> None:
    """Run the command line and exit.

    The status is 0 for success, 1 for an error that the user can correct, 2 for
    wrong usage, 70 for a fault of the program, 130 after Ctrl-C.
    """
    if isinstance(sys.stdout, TextIOWrapper):  # a file name may hold bytes that are no text
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app()
    except Exception as error:
        sys.exit(report(error, debug="--debug" in sys.argv or debug_wanted()))


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"vedette {version('vedette')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="And exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks; so does VEDETTE_DEBUG=1.")
    ] = False,
) -> None:
    """Options before the name of the command."""


@app.command()
def demo(
    seconds: Annotated[float, typer.Option(min=1, help="Ends by itself after so long.")] = 120.0,
    seed: Annotated[int, typer.Option(min=0, help="Another street for another number.")] = 0,
    data_folder: Annotated[
        Path, typer.Option(help="Gets a folder of its own for every demo.")
    ] = Path("vedette-data/demo"),
    dashboard: Annotated[
        bool, typer.Option(help="Serve the dashboard for this machine meanwhile.")
    ] = True,
) -> None:
    """Watch a synthetic street over real RTSP: adapt, score, alert; then end."""
    from pipeline.cli.demo import demo as implementation

    implementation(seconds, seed, data_folder, dashboard)


@app.command()
def run(
    config: Config = Path("vedette.yaml"),
    data_folder: Annotated[
        Path | None,
        typer.Option(help="Where scenes, scores and events are stored; else storage.folder."),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=1, help="Ends by itself after so long.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only warnings.")] = False,
) -> None:
    """Watch the cameras of a configuration until stopped.

    Each camera first collects clips of its normal scene and adapts to it, then watches the score
    against the threshold: 0 is normal, 1 raises an event. A stored scene is used again: only the
    first start adapts. On a terminal a table shows every camera; changes of a camera and events
    with the paths of their pictures are printed above it. Elsewhere the log on standard error has
    them, with date and zone.

    Ctrl-C or SIGTERM finishes what was seen, then ends. Scores are stored in
    DATA/scores/CAMERA.jsonl and logs in DATA/logs; metrics for Prometheus are served where the
    configuration says.
    """
    from pipeline.cli.run import run as implementation

    implementation(config, data_folder, seconds, quiet)


@app.command()
def validate(config: Config = Path("vedette.yaml")) -> None:
    """Check a configuration file and say what is wrong with it."""
    from pipeline.cli.validate import validate as implementation

    implementation(config)


@app.command()
def doctor(
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Configuration file.  [vedette.yaml]")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check whether this machine is ready, and say what to do where it is not."""
    from pipeline.cli.doctor import doctor as implementation

    implementation(config, json)


@app.command()
def status(url: Url = DEFAULT_URL, ca_file: CaFile = None, json: Json = False) -> None:
    """Show the processes of a running service: role, phase, process id, restarts."""
    from pipeline.cli import cameras, service_client

    cameras.show_service(service_client.ServiceClient(url, ca_file), json)


@app.command()
def replay(
    source: Annotated[str, typer.Argument(help="Video file, or folder of images.")],
    out: Annotated[Path | None, typer.Option(help="Annotated H.264 video to write.")] = None,
    json: Annotated[
        Path | None, typer.Option(help="Scores to write, one JSON object a frame.")
    ] = None,
    support: Annotated[
        str | None,
        typer.Option(help="Normal video or folder to adapt on; else the first seconds of SOURCE."),
    ] = None,
    shots: Annotated[int, typer.Option(min=1, help="Number of support clips.")] = 10,
    seed: Annotated[int, typer.Option(help="Of the draw of clips from --support.")] = 0,
    fps: Annotated[float, typer.Option(min=0.1, help="Frames scored a second of video.")] = 10.0,
    weights: Weights = "vedette",
    heatmap: HeatmapOption = "cells",
    device: Device = "auto",
) -> None:
    """Score a recording as the live pipeline would, and write it as an annotated video."""
    from pipeline.cli.replay import ReplayOptions
    from pipeline.cli.replay import replay as implementation

    settings = ReplayOptions(support, shots, seed, fps, weights, device, heatmap)
    implementation(source, settings, video_path=out, scores_path=json)


@app.command()
def evaluate(
    dataset: Annotated[Dataset, typer.Argument(help="Which benchmark.")],
    root: Annotated[Path, typer.Option(help="Folder of the unpacked archive.")],
    shots: Annotated[int, typer.Option(min=1, help="Support clips of each draw.")] = 10,
    draws: Annotated[int, typer.Option(min=1, help="How many supports are drawn.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Of the first draw; the next has one more.")] = 0,
    weights: Weights = "vedette",
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME or NAME=CHECKPOINT; several give one table. model is that of --weights; "
            "docs/evaluation.md lists the others.  [default: model]"
        ),
    ] = None,
    size: Annotated[
        tuple[int, int] | None,
        typer.Option(help="Height and width that frames are scaled to.  [default: the method's]"),
    ] = None,
    turns: Annotated[
        bool, typer.Option("--turns", help="Add flips and quarter turns of the support.")
    ] = False,
    scene: Annotated[
        list[str] | None, typer.Option(help="Only this scene or category; may be repeated.")
    ] = None,
    device: Device = "auto",
    batch_size: Annotated[int, typer.Option(min=1, help="Clips scored at once.")] = 16,
    false_alarms: Annotated[
        list[float] | None,
        typer.Option(
            min=0,
            help="A camera-day; sets the threshold of the alarm measures. May be repeated: the "
            "further ones have rows of their own.  [default: 90 % of the events are found]",
        ),
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Result to write.")] = None,
    heatmap: HeatmapOption = "cells",
    plots: Annotated[Path | None, typer.Option(help="Folder for curves and heatmaps.")] = None,
    report: Annotated[Path | None, typer.Option(help="HTML page to write.")] = None,
) -> None:
    """Measure the detector on a public benchmark, beside trivial baselines."""
    from pipeline.cli.evaluate import evaluate as implementation
    from pipeline.cli.methods import MethodOptions
    from pipeline.evaluation.alarms import AlarmOptions
    from pipeline.evaluation.results import EvaluationOptions

    rates = tuple(false_alarms or ())
    alarms = AlarmOptions(false_alarms_per_day=rates[0] if rates else None)
    settings = EvaluationOptions(
        shots,
        draws,
        seed,
        batch_size,
        turned=turns,
        alarms=alarms,
        further_rates=rates[1:],
        heatmap=heatmap,
    )
    methods = MethodOptions(tuple(method or ("model",)), size, tuple(scene or ()))
    implementation(dataset, root, settings, weights, device, json, plots, report, methods)


@app.command()
def train(
    scenes: Annotated[Path, typer.Argument(help="Folder with one subfolder of video a scene.")],
    out: Annotated[Path, typer.Option(help="Checkpoint to write, without suffix.")],
    iterations: Annotated[int, typer.Option(min=1, help="Optimiser steps in all.")] = 3000,
    episodes: Annotated[int, typer.Option(min=1, help="Episodes a step.")] = 2,
    preset: Annotated[Preset, typer.Option(help="Model to train.")] = "vedette",
    objective: Annotated[
        Objective,
        typer.Option(help="Planted anomalies (ours), the paper's Langevin samples, or both."),
    ] = "discriminative",
    contrastive_weight: Annotated[
        float | None, typer.Option(help="Of the paper's objective in both.  [default: 1]")
    ] = None,
    shrinkage: Annotated[
        Shrinkage | None,
        typer.Option(help="Of the coder, in training only.  [default: as preset and objective]"),
    ] = None,
    widths: Annotated[
        tuple[int, int, int, int] | None,
        typer.Option(help="Channels of the network's four stages.  [default: the preset's]"),
    ] = None,
    size: Annotated[
        tuple[int, int] | None,
        typer.Option(help="Height and width that the model takes.  [default: the preset's]"),
    ] = None,
    crop: Annotated[
        tuple[int, int] | None,
        typer.Option(help="Height and width of the part of the frame that an episode shows."),
    ] = None,
    shots: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Support clips of an episode; may be repeated.  [default: 3 5 7]"),
    ] = None,
    langevin: Annotated[
        Langevin,
        typer.Option(help="Steps of the paper's objective: scaled and bounded (ours), or Eq. 4."),
    ] = "bounded",
    learning_rate: Annotated[
        float | None,
        typer.Option(help="Highest rate.  [default: 0.002; of the paper's objective alone 0.0001]"),
    ] = None,
    queries: Annotated[int, typer.Option(min=1, help="Queries of an episode.")] = 4,
    augment: Annotated[
        bool | None,
        typer.Option(help="Zoom, crop, mirror, brighten.  [default: only the preset vedette]"),
    ] = None,
    crowd_share: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of the augmented episodes with a composed crowd."),
    ] = 0.5,
    truncated_share: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Share of the augmented episodes with a truncated history."
        ),
    ] = 0.2,
    images: Annotated[
        Path | None, typer.Option(help="Folder for sheets of Langevin samples.")
    ] = None,
    images_every: Annotated[int, typer.Option(min=1, help="Iterations between sheets.")] = 100,
    bfloat16: Annotated[
        bool, typer.Option("--bfloat16", help="Run the network in bfloat16.")
    ] = False,
    init: Annotated[
        str | None, typer.Option(help="Weights to begin with, shipped name or path.")
    ] = None,
    blend: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of what was learned; the rest stays --init."),
    ] = 1.0,
    device: Device = "auto",
    seed: Annotated[int, typer.Option(help="Same seed, same run.")] = 0,
    hold_out: Annotated[
        list[str] | None, typer.Option(help="Scene to measure on instead; may be repeated.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where OUT stopped.")] = False,
    method: Annotated[
        str | None,
        typer.Option(
            help="Train a baseline instead, such as ae-mse (docs/evaluation.md); of the other "
            "options it takes --iterations, --queries, --learning-rate, --size, --seed, "
            "--hold-out and --resume."
        ),
    ] = None,
    leave_one_out: Annotated[
        bool,
        typer.Option(
            "--leave-one-out",
            help="With --method: train OUT-SCENE once for each scene, without that scene.",
        ),
    ] = False,
) -> None:
    """Meta-train a model on normal video of many scenes.

    The paper's own training is --preset paper --objective contrastive --episodes 4 --queries 10
    --langevin literal.
    """
    from rich.console import Console

    if method is not None:
        from pipeline.cli.train_baseline import BaselineRun, leave_one_out_runs, train_baseline

        run = BaselineRun(method, iterations, learning_rate or 1e-3, queries, seed, size_hw=size)
        runs = leave_one_out_runs(scenes, out) if leave_one_out else [(out, [])]
        for path, left_out in runs:
            train_baseline(scenes, path, run, [*(hold_out or []), *left_out], resume, Console())
        return

    from pipeline.cli.train import print_results, run_train
    from pipeline.cli.train_settings import TrainSettings, training_options, training_shrinkage

    console = Console()
    settings = TrainSettings(
        preset=preset,
        queries=queries,
        augment=preset == "vedette" if augment is None else augment,
        crowd_share=crowd_share,
        truncated_share=truncated_share,
        shrinkage=shrinkage or training_shrinkage(preset, objective),
        widths=widths,
        size_hw=size,
        crop_hw=crop,
        shots=tuple(shots) if shots else TrainSettings().shots,
        init=init,
        blend=blend,
        device=device,
        images=images,
        images_every=images_every,
    )
    options = training_options(
        objective, contrastive_weight, learning_rate, iterations, episodes, bfloat16, seed, langevin
    )
    results = run_train(scenes, out, options, hold_out or [], resume, console, settings)
    print_results(results, console)
