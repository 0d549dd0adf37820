"""Units of measure: their symbols, their UNECE codes, and exact linear conversion between them.

A small table of what cell-therapy equipment speaks. Symbols are UCUM's where that reads well;
``SPELLINGS`` lists what else people write. The UNECE Recommendation 20 code is beside each, since
OPC UA names units by it. Arithmetic is in fractions: ten parts of a hundred are exactly a tenth.
"""

from fractions import Fraction
from typing import NamedTuple


class UnitError(ValueError):
    """A unit that is not in the table, or two that measure different things; it says which."""


class Unit(NamedTuple):
    """One unit: ``base = value * scale + offset`` in the base unit of its dimension."""

    dimension: str
    scale: Fraction = Fraction(1)
    offset: Fraction = Fraction(0)
    unece: str = ""
    """Code of UNECE Recommendation 20; empty where it has none that fits."""


class Linear(NamedTuple):
    """An exact linear map: ``scale * value + offset``."""

    scale: Fraction = Fraction(1)
    offset: Fraction = Fraction(0)

    def after(self, first: "Linear") -> "Linear":
        """The map that applies ``first``, then this one."""
        return Linear(self.scale * first.scale, self.scale * first.offset + self.offset)

    def __call__(self, value: float | Fraction) -> Fraction:
        """Map ``value``, taken as the decimal number that it was written as."""
        return self.scale * exact(value) + self.offset


def exact(value: float | Fraction) -> Fraction:
    """The decimal number that was written: 0.1 is one tenth, not the nearest binary fraction."""
    return value if isinstance(value, Fraction) else Fraction(repr(value))


_F = Fraction

UNITS: dict[str, Unit] = {
    "Cel": Unit("temperature", unece="CEL"),
    "K": Unit("temperature", offset=_F(-27315, 100), unece="KEL"),
    "[degF]": Unit("temperature", _F(5, 9), _F(-160, 9), "FAH"),
    # Parts of a whole, by volume for gases: 5 % CO2 are 50 000 ppm.
    "1": Unit("fraction", unece="C62"),
    "%": Unit("fraction", _F(1, 100), unece="P1"),
    "ppm": Unit("fraction", _F(1, 10**6), unece="59"),
    "ppb": Unit("fraction", _F(1, 10**9), unece="61"),
    # Relative humidity is no volume fraction: ppm of water vapour are not per cent of saturation.
    "%RH": Unit("relative humidity", unece="P1"),
    "Pa": Unit("pressure", unece="PAL"),
    "hPa": Unit("pressure", _F(100), unece="A97"),
    "kPa": Unit("pressure", _F(1000), unece="KPA"),
    "mbar": Unit("pressure", _F(100), unece="MBR"),
    "bar": Unit("pressure", _F(10**5), unece="BAR"),
    "[psi]": Unit("pressure", _F("6894.757293168"), unece="PS"),
    "pH": Unit("pH", unece="Q30"),
    "rpm": Unit("rotation", unece="RPM"),
    "Hz": Unit("rotation", _F(60), unece="HTZ"),
    "deg": Unit("angle", unece="DD"),
    "L/min": Unit("flow", unece="L2"),
    "mL/min": Unit("flow", _F(1, 1000), unece="41"),
    "L/h": Unit("flow", _F(1, 60), unece="E32"),
    "m3/h": Unit("flow", _F(1000, 60), unece="MQH"),
    "L": Unit("volume", unece="LTR"),
    "mL": Unit("volume", _F(1, 1000), unece="MLT"),
    "m3": Unit("volume", _F(1000), unece="MTQ"),
    "kg": Unit("mass", unece="KGM"),
    "g": Unit("mass", _F(1, 1000), unece="GRM"),
    "mmol/L": Unit("amount concentration", unece="M33"),
    "mmol/L/h": Unit("volumetric rate"),
    "g/L": Unit("mass concentration", unece="GL"),
    "mg/L": Unit("mass concentration", _F(1, 1000), unece="M1"),
    "m": Unit("length", unece="MTR"),
    "cm": Unit("length", _F(1, 100), unece="CMT"),
    "mm": Unit("length", _F(1, 1000), unece="MMT"),
    "[in_i]": Unit("length", _F(254, 10**4), unece="INH"),
    "m/s": Unit("speed", unece="MTS"),
    "1/m3": Unit("number concentration", unece="M71"),
    "1/L": Unit("number concentration", _F(1000)),
    "1/mL": Unit("number concentration", _F(10**6)),
    "[ft_i]-3": Unit("number concentration", 1 / _F("0.028316846592")),
    "s": Unit("time", unece="SEC"),
    "min": Unit("time", _F(60), unece="MIN"),
    "h": Unit("time", _F(3600), unece="HUR"),
    "d": Unit("time", _F(86400), unece="DAY"),
    "V": Unit("voltage", unece="VLT"),
    "mV": Unit("voltage", _F(1, 1000), unece="2Z"),
    "A": Unit("current", unece="AMP"),
    "mA": Unit("current", _F(1, 1000), unece="4K"),
    "W": Unit("power", unece="WTT"),
    "kW": Unit("power", _F(1000), unece="KWT"),
    "uS/cm": Unit("conductivity", unece="G42"),
    "mS/cm": Unit("conductivity", _F(1000), unece="H61"),
}

SPELLINGS: dict[str, str] = {
    "degC": "Cel",
    "°C": "Cel",
    "C": "Cel",
    "degF": "[degF]",
    "°F": "[degF]",
    "F": "[degF]",
    "[ppm]": "ppm",
    "[ppb]": "ppb",
    "%rh": "%RH",
    "psi": "[psi]",
    "[pH]": "pH",
    "1/min": "rpm",
    "{rpm}": "rpm",
    "l/min": "L/min",
    "ml/min": "mL/min",
    "l": "L",
    "ml": "mL",
    "mmol/l": "mmol/L",
    "g/l": "g/L",
    "mg/l": "mg/L",
    "in": "[in_i]",
    "°": "deg",
    "m-3": "1/m3",
    "µS/cm": "uS/cm",
    "μS/cm": "uS/cm",
}


def symbol(text: str) -> str:
    """The symbol of the table for what people write (``°C`` is ``Cel``).

    Raises ``UnitError`` when the table has no such unit.
    """
    known = SPELLINGS.get(text, text)
    if known not in UNITS:
        raise UnitError(f"there is no unit {text!r}")
    return known


def conversion(given: str, wanted: str) -> Linear:
    """The exact map from values in unit ``given`` to values in unit ``wanted``.

    Raises ``UnitError`` when either is unknown or they do not measure the same thing.
    """
    given_symbol, wanted_symbol = symbol(given), symbol(wanted)
    if given_symbol == wanted_symbol:
        return Linear()
    source, target = UNITS[given_symbol], UNITS[wanted_symbol]
    if source.dimension != target.dimension:
        raise UnitError(
            f"{given!r} ({source.dimension}) does not convert to {wanted!r} ({target.dimension})"
        )
    return Linear(source.scale / target.scale, (source.offset - target.offset) / target.scale)


def convert(value: float, given: str, wanted: str) -> float:
    """``value`` of unit ``given`` in unit ``wanted``, rounded once. Raises ``UnitError``."""
    return float(conversion(given, wanted)(value))


_SIGNS = {"Cel": "°C", "[degF]": "°F", "[psi]": "psi"}
"""How units are shown whose symbol (UCUM) few people would recognise."""


def sign(unit: str) -> str:
    """Return a unit as people are shown it."""
    return _SIGNS.get(unit, unit)
