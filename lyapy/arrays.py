"""The array type of annotations: NumPy's or CuPy's, whichever the engine runs on."""

from __future__ import annotations

from typing import Any, TypeAlias

Array: TypeAlias = Any
