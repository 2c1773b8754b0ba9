"""The worker of the alert sink: opens its files and sockets, and runs it."""

from contextlib import ExitStack

from pipeline.alerts.absorption import Absorption
from pipeline.alerts.alert_sink import AlertSink
from pipeline.notifiers import open_notifiers
from pipeline.storage.database import store_url
from pipeline.storage.journal import EventJournal
from pipeline.storage.score_log import ScoreLog
from pipeline.storage.store_errors import StoreDamagedError
from pipeline.storage.store_opening import open_store, put_store_aside
from pipeline.transport.commands import Command
from pipeline.transport.control import ControlClient, ControlMember
from pipeline.transport.live import LivePublisher
from pipeline.transport.messages import Answer
from pipeline.transport.scores import ScoreReceiver
from pipeline.worker import WorkerContext

_ASK_SECONDS = 5.0


def run(context: WorkerContext) -> None:
    """Entry of the worker: process scores until stopped and no more arrive.

    Raises:
        OSError: the data folder cannot be written.
        StoreError: the event store cannot be used.
    """
    try:
        _work(context)
    except StoreDamagedError as error:
        # The next start of this worker creates a new one from the score logs.
        spec = context.spec
        put_store_aside(store_url(spec.config.store.url, spec.run.data_folder), error)
        raise


def _work(context: WorkerContext) -> None:
    folder, endpoints = context.spec.run.data_folder, context.spec.run.endpoints
    with ExitStack() as stack:
        store = open_store(context, stack)
        journal = stack.enter_context(EventJournal(folder / "events.jsonl"))

        def ask(command: Command) -> Answer:
            with ControlClient(endpoints) as client:
                return client.ask(command, _ASK_SECONDS)

        def open_log(camera: str) -> ScoreLog:
            return stack.enter_context(ScoreLog(folder / "scores", camera))

        logs = {name: open_log(name) for name in context.spec.config.cameras}
        publisher = stack.enter_context(LivePublisher(endpoints))
        notifiers = stack.enter_context(
            open_notifiers(context.spec.config, folder, context.metrics, context.problems, ask)
        )
        receiver = stack.enter_context(ScoreReceiver(endpoints))
        spec = context.spec
        control = stack.enter_context(ControlMember(endpoints, spec.name, spec.revision))
        absorption = stack.enter_context(
            Absorption.from_endpoints(endpoints, store, context.metrics)
        )
        sink = AlertSink(
            context, store, journal, logs, publisher, notifiers=notifiers, absorption=absorption
        )
        sink.recover()
        sink.serve(receiver, control, open_log)
