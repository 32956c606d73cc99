"""Whether two runs are the same one, by their settings, and whether they run in the same place."""

from typing import Any

from ..options import stored

# may change the last bits, but not the task
PLACE = stored("place") | {"versions", "machine", "processor", "gpu"}
IGNORED = {
    *("assumptions", "command", "date", "environment_changes", "interrupted", "network"),
    *("network_origin", "passes", "repeated_tiles", "seam_error", "seconds"),
}
# some backends have none; compared if both runs have them
OPTIONAL = {"gpu"}
# results of a run with a target
FOUND = {"steps", "inputs_sha256"}
SHOWN = 40


def differing(found: dict[str, Any], wanted: dict[str, Any]) -> dict[str, str]:
    """Return the settings that differ, with both values; nested keys are joined by a full stop."""
    one, other = _flat(found), _flat(wanted)
    keys = (one.keys() | other.keys()) - IGNORED - (OPTIONAL - (one.keys() & other.keys()))
    if one.get("until") and other.get("until"):
        keys -= FOUND
    return {
        key: f"{_show(one.get(key))} there, {_show(other.get(key))} here"
        for key in sorted(keys)
        if one.get(key) != other.get(key)
    }


def is_place(key: str) -> bool:
    """Return whether a key of `differing` describes where a run takes place."""
    return key.partition(".")[0] in PLACE


def _flat(settings: dict[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{before}{name}.")
        else:
            flat[before + name] = list(value) if isinstance(value, tuple) else value
    return flat


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
