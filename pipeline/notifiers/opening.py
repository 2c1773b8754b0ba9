"""Create the receivers of a configuration, and run them until the end of a block."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

from pipeline.config import Config, Mqtt
from pipeline.notifiers.delivery import DeliveryWorker, Notifier, Receiver
from pipeline.notifiers.links import Links
from pipeline.notifiers.mqtt import MqttNotifier
from pipeline.notifiers.mqtt_commands import CameraView, MqttCommands
from pipeline.notifiers.notifiers import Notifiers
from pipeline.notifiers.outbox import Outbox
from pipeline.notifiers.outbox_message import OUTBOX_NAME, Bounds, Kind
from pipeline.notifiers.retained_state import ANNOUNCED_NAME, RetainedState
from pipeline.notifiers.webhook import WebhookNotifier
from pipeline.telemetry.metrics import Metrics
from pipeline.telemetry.ongoing_problems import OngoingProblems
from pipeline.transport.commands import Command
from pipeline.transport.messages import Answer

LOG = logging.getLogger(__name__)

_ALL: frozenset[Kind] = frozenset({"new", "update", "end"})


@contextmanager
def open_notifiers(
    config: Config,
    data_folder: Path,
    metrics: Metrics,
    problems: OngoingProblems | None = None,
    ask: Callable[[Command], Answer] | None = None,
) -> Iterator[Notifiers]:
    """Start the receivers of a configuration, and stop them at the end of the block.

    Args:
        config: The configuration.
        data_folder: Data folder of the run.
        metrics: Metrics of the worker.
        problems: Ongoing problems of the worker.
        ask: Sends a command to the supervisor; None: commands are not accepted.

    Raises:
        PermanentError: a receiver cannot be used as configured.
    """
    if not (config.mqtt.enabled or config.webhooks or config.apprise):
        yield Notifiers.without_receivers(data_folder, metrics)
        return
    bounds = Bounds(
        config.outbox.max_messages,
        int(config.outbox.max_size_mb * 1_000_000),
        config.outbox.max_age,
    )
    with Outbox(data_folder / OUTBOX_NAME, bounds) as outbox:

        def publish_views(views: Sequence[CameraView]) -> None:
            if mqtt is not None:
                mqtt.publish_views(views)

        commands = None if ask is None else MqttCommands(ask, publish_views)
        command = None if commands is None else commands.put
        receivers, mqtt = make_receivers(config, outbox, data_folder, metrics, command)
        for name, receiver in receivers.items():
            # Create the metric series at once, so that they exist before the first failure.
            metrics.sink_failures.labels(name)
            receiver.delivery_worker.start()
        if mqtt is not None:
            mqtt.withdraw_obsolete(config.cameras)
            mqtt.start()
            if commands is not None:
                commands.start()
        notifiers = Notifiers(
            outbox,
            receivers,
            mqtt,
            data_folder,
            metrics,
            problems=problems,
            api=config.api.enabled,
            public_url=config.api.public_url,
            links=open_links(config, data_folder),
        )
        try:
            yield notifiers
        finally:
            if commands is not None:
                commands.close()
            notifiers.close()


def open_links(config: Config, data_folder: Path) -> Links | None:
    """Create the signer of addresses in messages; None: not configured, or the key is unusable."""
    if not config.api.enabled or config.api.public_url is None:
        return None
    try:
        return Links.of(data_folder)
    except OSError as error:
        LOG.warning("links in messages are not signed, and need a token: %s", error)
        return None


def make_receivers(
    config: Config,
    outbox: Outbox,
    data_folder: Path,
    metrics: Metrics,
    command: Callable[[Command], None] | None = None,
) -> tuple[dict[str, Receiver], MqttNotifier | None]:
    """Create all receivers of a configuration, by name of the sink, and the MQTT one; not started.

    Raises:
        PermanentError: one cannot be used as configured.
    """
    receivers: dict[str, Receiver] = {}

    def add(name: str, notifier: Notifier, rate: float, kinds: frozenset[Kind]) -> None:
        delivery_worker = DeliveryWorker(name, notifier, outbox, rate, metrics)
        receivers[name] = Receiver(notifier, delivery_worker, kinds)

    mqtt = None
    if config.mqtt.enabled:
        warn_of_unencrypted_password(config.mqtt)
        mqtt = MqttNotifier(
            config.mqtt,
            lambda: receivers["mqtt"].delivery_worker.wake(),
            metrics.sink_failures.labels("mqtt").inc,
            RetainedState(data_folder / ANNOUNCED_NAME, f"{config.mqtt.host}:{config.mqtt.port}"),
            command,
        )
        add("mqtt", mqtt, config.mqtt.max_rate, _ALL)
    for name, webhook in config.webhooks.items():
        kinds = _ALL if webhook.updates else _ALL - {"update"}
        add(f"webhook:{name}", WebhookNotifier(name, webhook), webhook.max_rate, kinds)
    for name, service in config.apprise.items():
        from pipeline.notifiers.apprise_service import AppriseNotifier

        kinds = frozenset({"new", "end"} if service.ends else {"new"})
        add(f"apprise:{name}", AppriseNotifier(name, service, data_folder), service.max_rate, kinds)
    return receivers, mqtt


def warn_of_unencrypted_password(settings: Mqtt) -> None:
    """Log a warning if a password would be sent unencrypted over a network."""
    try:
        local = ip_address(settings.host).is_loopback
    except ValueError:
        local = settings.host == "localhost"
    if settings.password is not None and not settings.tls and not local:
        LOG.warning("mqtt: the password is sent unencrypted to %s; want tls: true", settings.host)
