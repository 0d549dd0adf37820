"""The whole file as a site writes it, merged with what the environment and the command line say.

The merging is pydantic-settings': file < environment (``CYTOWATCH_MQTT__PORT=1884``) < overrides.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from config.catalogue import Kind
from config.limits import Defaults, LimitSet
from config.lines import WrittenLine
from config.model import Id
from config.operators import OperatorSettings
from config.rules import AlarmClass, EquipmentState
from config.site import ExcursionSettings, Http, Mqtt, Notify, StoreSettings, WrittenDatabases
from config.sources import EquipmentSpec, Profile
from config.states import StateSetting

PREFIX = "CYTOWATCH_"
NESTED = "__"


class Malformed(Exception):  # noqa: N818 - carries what could not be a site, for looking closer
    """The merged data do not have the shape of a site."""

    def __init__(self, data: dict[str, Any], error: ValidationError) -> None:
        super().__init__(str(error.error_count()))
        self.data = data
        self.error = error


class _Given(PydanticBaseSettingsSource):
    """Data that is at hand already: the file's, or the overrides'."""

    def __init__(self, settings_cls: type[BaseSettings], data: dict[str, Any]) -> None:
        super().__init__(settings_cls)
        self._data = data

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ANN401, ARG002 - as inherited
        return self._data.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return self._data


class _Environment(EnvSettingsSource):
    """The environment that was handed over, which need not be the process's own."""

    def __init__(self, settings_cls: type[BaseSettings], environ: Mapping[str, str]) -> None:
        self._environ = environ
        super().__init__(settings_cls)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._environ.items()}


class SiteFile(BaseSettings):
    """Everything a site writes about itself. Made by ``merged``."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix=PREFIX,
        env_nested_delimiter=NESTED,
    )

    site: Id
    gateway: Id
    """Which gateway this is; where one file serves several, the environment says it."""
    lines: Annotated[tuple[WrittenLine, ...], Field(min_length=1)]
    equipment: Annotated[tuple[EquipmentSpec, ...], Field(min_length=1)]
    limits: Mapping[Id, LimitSet] = Field(default_factory=dict)
    """Named limit sets, so that identical chambers have identical limits."""
    profiles: Mapping[Id, Profile] = Field(default_factory=dict)
    """Instruments of the site's own, beside those that come with cytowatch."""
    kinds: Mapping[Id, Kind] = Field(default_factory=dict)
    """Kinds of equipment of the site's own, and further channels of the catalogue's."""
    classes: Mapping[Id, AlarmClass] = Field(default_factory=dict)
    """What the alarms of one class have in common."""
    states: Mapping[EquipmentState, StateSetting] = Field(default_factory=dict)
    """What each state of an equipment suppresses, where that is not as shipped."""
    excursions: ExcursionSettings = ExcursionSettings()
    operators: OperatorSettings | None = None
    defaults: Defaults = Defaults()
    store: StoreSettings = StoreSettings()
    influxdb: WrittenDatabases | None = None
    mqtt: Mqtt | None = None
    http: Http | None = None
    notify: Notify | None = None

    @classmethod
    def merged(
        cls,
        file: dict[str, Any],
        environ: Mapping[str, str],
        overrides: dict[str, Any],
    ) -> Self:
        """Lay the layers over each other. Raises ``Malformed``, or pydantic-settings' own error."""
        layers: dict[str, Any] = {"file": file, "environ": environ, "overrides": overrides}
        return cls(**layers)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the process's own; ours is handed over
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - not used
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - not used
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The three layers that ``merged`` was given, the strongest first."""
        if not isinstance(init_settings, InitSettingsSource):
            raise TypeError("a SiteFile is made by SiteFile.merged")
        layers = init_settings.init_kwargs
        return (
            _Given(settings_cls, layers["overrides"]),
            _Environment(settings_cls, layers["environ"]),
            _Given(settings_cls, layers["file"]),
        )

    @model_validator(mode="wrap")
    @classmethod
    def _keep_what_is_malformed(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:  # noqa: ANN401 - merged data
        try:
            return handler(data)
        except ValidationError as error:
            raise Malformed(data, error) from error
