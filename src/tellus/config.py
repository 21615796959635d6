"""Configuration: one frozen tree, passed explicitly.

A flag goes before a ``TELLUS_*`` environment variable, that before ``tellus.toml``, that before
the default. Levels are joined by two underscores: ``TELLUS_PRESENCE__OFFLINE_AFTER_S=120``. A
secret may come from a file: ``TELLUS_SERVER__TLS_KEY_PASSWORD_FILE=/run/secrets/key``. Unknown keys
are errors.
"""

import ipaddress
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from tellus.config_features import (
    AgentSettings,
    AlertSettings,
    CommandSettings,
    ConsentSettings,
    DiagnosticsSettings,
    EnergySettings,
    FirmwareSettings,
    FlexibilitySettings,
    HealthSettings,
    LegacySettings,
    PresenceSettings,
    RetentionSettings,
    RunbookSettings,
    Section,
)

PREFIX = "TELLUS_"
_SECRETS = ("PASSWORD", "DATABASE__URL")
_OF_CLIENTS = (
    "BASE_URL CLIENT_ID CLIENT_SECRET OPERATOR_ID ADMIN_ID ADMIN_SECRET ENROLMENT_TOKEN "
    "PEER_ID PEER_SECRET DEVICE_ID"
)
NOT_SETTINGS = frozenset(PREFIX + name for name in ("CONFIG", *_OF_CLIENTS.split()))
"""Variables that clients of the platform read; they configure no server."""


class ConfigurationError(Exception):
    """The configuration cannot be used; the message names the setting."""


class ServerSettings(Section):
    """Where and how the platform listens."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(
        default=8600, ge=0, le=65535, description="Port to listen on; 0 takes a free one."
    )
    shares_port: bool = Field(
        default=False,
        description="Let other processes of this machine listen on the same port (workers do).",
    )
    allow_plain_http: bool = Field(
        default=False,
        description="Serve plain HTTP beyond loopback: only behind a proxy that ends TLS.",
    )
    tls_certificate: Path | None = Field(
        default=None, description="Certificate chain (PEM) to serve TLS."
    )
    tls_key: Path | None = Field(default=None, description="Private key (PEM) of the certificate.")
    tls_key_password: SecretStr | None = Field(
        default=None, description="Password of the private key."
    )
    public_url: str | None = Field(
        default=None,
        pattern="^https?://[^/?# ]+(/[^?# ]*)?$",
        description="Address at which chargers reach the server, such as"
        " `https://cloud.example.com`; it goes before addresses that they are told.",
    )
    trusted_proxies: tuple[str, ...] = Field(
        default=(), description="Addresses or networks whose X-Forwarded-For is believed."
    )
    connections_per_address: int = Field(
        default=2000,
        ge=1,
        description="Open connections of one address; loopback and proxies are exempt.",
    )
    connections_per_device: int = Field(
        default=8, ge=2, description="Open connections of one device."
    )
    head_timeout_s: float = Field(
        default=10.0, gt=0, description="Time for the head of a request (s)."
    )
    body_timeout_s: float = Field(
        default=10.0, gt=0, description="Time for the body of a request (s)."
    )
    keep_alive_s: int = Field(
        default=75, ge=5, description="How long an idle connection stays open (s)."
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _name_networks(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        """Return networks without host bits, so that whoever reads them reads the same."""
        networks = [(entry, str(ipaddress.ip_network(entry, strict=False))) for entry in entries]
        return tuple(network if "/" in entry else entry for entry, network in networks)


class RegistrationSettings(Section):
    """How chargers come to the platform."""

    mode: Literal["open", "allowlist"] = Field(
        default="allowlist", description="Whether a serial number has to be provisioned first."
    )
    allow_open_beyond_loopback: bool = Field(
        default=False,
        description="Let anybody register although the server is reachable from outside.",
    )
    secret_lifetime_days: int = Field(
        default=365, ge=1, description="Advised lifetime of a device secret (days)."
    )


class LimitSettings(Section):
    """Rate limits."""

    scale: float = Field(default=1.0, gt=0, description="Multiplies every rate limit.")


class DatabaseSettings(Section):
    """The database that several nodes share; without one each keeps a SQLite file."""

    url: SecretStr | None = Field(
        default=None,
        description="PostgreSQL to use in place of a file: `postgresql://user:password@host/name`.",
    )


class StorageSettings(Section):
    """The store."""

    readers: int = Field(default=2, ge=1, le=32, description="Threads that serve queries.")
    queue_operations: int = Field(
        default=5000, ge=10, description="Writes that may wait for the disk."
    )


class StreamSettings(Section):
    """Live telemetry."""

    cadence_s: float = Field(
        default=1.0,
        gt=0,
        description="Least time between two frames of one device to one subscriber (s).",
    )
    slow_after_s: float = Field(
        default=30.0,
        gt=0,
        description="How long a subscriber may take nothing before its stream is closed (s).",
    )


class CompatSettings(Section):
    """What deviations of chargers are admitted."""

    mode: Literal["strict", "lenient"] = Field(
        default="strict", description="Whether known deviations from the contract are admitted."
    )
    lenient_models: tuple[str, ...] = Field(
        default=(), description="Models whose known deviations are admitted in strict mode too."
    )


class LogSettings(Section):
    """What is written to the log."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level that is written."
    )
    format: Literal["json", "console"] = Field(default="json", description="How lines are written.")


class InstanceSettings(Section):
    """What this installation is."""

    region: str = Field(
        default="eu", min_length=1, max_length=32, description="Region of its data."
    )
    sandbox: bool = Field(default=False, description="Mark it plainly as a sandbox.")


class Settings(BaseSettings):
    """The whole configuration."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=PREFIX, env_nested_delimiter="__"
    )

    data_dir: Path = Field(default=Path("var"), description="Where everything is stored.")
    keys_file: Path | None = Field(
        default=None, description="Key file to use instead of `keys.json` in the data directory."
    )
    server: ServerSettings = ServerSettings()
    registration: RegistrationSettings = RegistrationSettings()
    limits: LimitSettings = LimitSettings()
    database: DatabaseSettings = DatabaseSettings()
    storage: StorageSettings = StorageSettings()
    consent: ConsentSettings = ConsentSettings()
    presence: PresenceSettings = PresenceSettings()
    commands: CommandSettings = CommandSettings()
    flexibility: FlexibilitySettings = FlexibilitySettings()
    firmware: FirmwareSettings = FirmwareSettings()
    energy: EnergySettings = EnergySettings()
    health: HealthSettings = HealthSettings()
    retention: RetentionSettings = RetentionSettings()
    alerts: AlertSettings = AlertSettings()
    runbooks: RunbookSettings = RunbookSettings()
    diagnostics: DiagnosticsSettings = DiagnosticsSettings()
    agents: AgentSettings = AgentSettings()
    legacy: LegacySettings = LegacySettings()
    stream: StreamSettings = StreamSettings()
    compat: CompatSettings = CompatSettings()
    log: LogSettings = LogSettings()
    instance: InstanceSettings = InstanceSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take nothing but what is given: ``load_configuration`` has read the environment."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @property
    def database_file(self) -> Path:
        """Return the SQLite file."""
        return self.data_dir / "tellus.db"

    @property
    def key_file(self) -> Path:
        """Return the file of pepper and instance key."""
        return self.keys_file or self.data_dir / "keys.json"


class Configuration:
    """Settings together with where each came from."""

    def __init__(self, settings: Settings, origins: dict[str, str]) -> None:
        self.settings = settings
        self.origins = origins


def load_configuration(
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> Configuration:
    """Return the effective configuration.

    ``flags`` are dotted names (``server.port``) with values; None stands for "not given".

    Raises:
        ConfigurationError: a key is unknown, or a value is not of its type or bounds.
    """
    variables = dict(os.environ if environment is None else environment)
    layers = {
        "file": _read_file(file, variables),
        "environment": _read_environment(variables),
        "flag": _nest({name: v for name, v in (flags or {}).items() if v is not None}),
    }
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, layer in layers.items():
        merged = _merge(merged, layer)
        origins |= dict.fromkeys((name for name, _ in _leaves(layer)), origin)
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as error:
        raise ConfigurationError(_explain(error)) from None
    return Configuration(settings, origins)


def describe_settings() -> Iterator[tuple[str, str, Any, str]]:
    """Return (dotted name, environment variable, default, description) of every setting."""
    yield from _describe(Settings, "")


def effective_values(settings: Settings) -> dict[str, Any]:
    """Return every setting by dotted name, secrets masked."""
    return dict(_leaves(settings.model_dump(mode="json")))


def _describe(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, Any, str]]:
    for name, field in model.model_fields.items():
        dotted = prefix + name
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _describe(kind, dotted + ".")
        else:
            variable = PREFIX + dotted.replace(".", "__").upper()
            yield dotted, variable, field.default, field.description or ""


def _read_file(file: Path | None, variables: Mapping[str, str]) -> dict[str, Any]:
    named = file or (Path(variables["TELLUS_CONFIG"]) if "TELLUS_CONFIG" in variables else None)
    path = named or Path("tellus.toml")
    if named is None and not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        message = f"{path}: {error}"
        raise ConfigurationError(message) from None


def _read_environment(variables: Mapping[str, str]) -> dict[str, Any]:
    known = {variable: dotted for dotted, variable, _, _ in describe_settings()}
    secrets = {name + "_FILE": name for name in known if name.endswith(_SECRETS)}
    given: dict[str, Any] = {}
    for name, value in variables.items():
        if not name.startswith(PREFIX) or name in NOT_SETTINGS:
            continue
        if name in secrets:
            given[known[secrets[name]]] = Path(value).read_text().strip()
        elif name not in known:
            message = f"{name} is not a setting"
            raise ConfigurationError(message)
        else:
            given[known[name]] = value
    return _parse_lists(_nest(given))


def _parse_lists(layer: dict[str, Any]) -> dict[str, Any]:
    """Let lists be written with commas, and read what looks like JSON as JSON."""
    source = EnvSettingsSource(Settings)
    for section in ("server", "compat"):
        values = layer.get(section, {})
        for name in ("trusted_proxies", "lenient_models"):
            if isinstance(values.get(name), str):
                text = values[name].strip()
                is_json = text.startswith("[")
                values[name] = (
                    source.decode_complex_value(name, Settings.model_fields[section], text)
                    if is_json
                    else [part.strip() for part in text.split(",") if part.strip()]
                )
    return layer


def _nest(values: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for dotted, value in values.items():
        *sections, name = dotted.split(".")
        holder = tree
        for section in sections:
            holder = holder.setdefault(section, {})
        holder[name] = value
    return tree


def _merge(lower: dict[str, Any], upper: dict[str, Any]) -> dict[str, Any]:
    merged = dict(lower)
    for name, value in upper.items():
        held = merged.get(name)
        both = isinstance(value, dict) and isinstance(held, dict)
        merged[name] = _merge(held, value) if both else value  # type: ignore[arg-type]
    return merged


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_input=False, include_url=False):
        name = ".".join(str(part) for part in problem["loc"])
        unknown = problem["type"] == "extra_forbidden"
        lines.append(f"{name}: {'is not a setting' if unknown else problem['msg'].lower()}")
    return "; ".join(lines)
