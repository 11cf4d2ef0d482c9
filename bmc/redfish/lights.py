"""The lights of a system and its chassis: LocationIndicatorActive, and IndicatorLED on services that are older."""

from collections.abc import Iterator, Mapping

from bmc.errors import Unsupported
from bmc.redfish.answers import Json
from bmc.redfish.tree import Tree, text
from bmc.types import Indicator

ACTIVE, LED = "LocationIndicatorActive", "IndicatorLED"
_SHOWN: Mapping[str, str] = {"Lit": "on", "Blinking": "blinking", "Off": "off"}
_ASKED = {ours: wire for wire, ours in _SHOWN.items()}
_STATES_ACTIVE, _STATES_LED = ("off", "on"), ("blinking", "off", "on")


def identify(tree: Tree, *, on: bool) -> None:
    system, etag = tree.system()
    attention = "on" if ACTIVE in system else "blinking"
    tree.change(system, _wish(system, attention if on else "off"), etag)


def found(tree: Tree) -> list[Indicator]:
    return [light for light, _, _ in _lights(tree)]


def switch(tree: Tree, component: str, name: str, state: str) -> None:
    for light, resource, etag in _lights(tree):
        if (light.component, light.name) == (component, name):
            if state not in light.states:
                raise Unsupported(f"The indicator {name}@{component} has no state {state[:32]}.")
            return tree.change(resource, _wish(resource, state), etag)
    raise Unsupported(f"Unknown indicator {name[:64]} for component {component[:64]}.")


def _lights(tree: Tree) -> Iterator[tuple[Indicator, Json, str | None]]:
    """Each with the resource that it belongs to, and its ETag."""
    system, etag = tree.system()
    if (light := _light("system", system)) is not None:
        yield light, system, etag
    try:
        chassis, etag = tree.tagged(text(tree.chassis(), "@odata.id"))
    except Unsupported:
        return
    if (light := _light("chassis", chassis)) is not None:
        yield light, chassis, etag


def _light(component: str, resource: Json) -> Indicator | None:
    name = text(resource, "UUID") or text(resource, "Id") or component
    active = resource.get(ACTIVE)
    if isinstance(active, bool):
        return Indicator(component=component, name=name, state="on" if active else "off", states=_STATES_ACTIVE)
    if resource.get(LED):
        state = _SHOWN.get(text(resource, LED), "unknown")
        return Indicator(component=component, name=name, state=state, states=_STATES_LED)
    return None


def _wish(resource: Json, state: str) -> Json:
    if ACTIVE in resource:
        return {ACTIVE: state == "on"}
    if LED in resource:
        return {LED: _ASKED[state]}
    raise Unsupported("The BMC has no identify light.")
