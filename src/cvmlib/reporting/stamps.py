"""What each step was last built from and what it left: the memory that keeps work done from being done twice."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Stamps:
    """The stamps of a build folder, one JSON file for each step.

    Parameters
    ----------
    build_dir : pathlib.Path
        The build folder; the names of outputs are relative to it.
    """

    build_dir: Path

    def _path(self, key: str) -> Path:
        return self.build_dir / "stamps" / f"{key.replace('/', '.')}.json"

    def read(self, key: str) -> dict:
        """Return ``inputs`` and ``outputs`` of a step; empty if it has not been built."""
        try:
            return json.loads(self._path(key).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}

    def write(self, key: str, inputs: dict[str, str], outputs: list[Path]) -> None:
        """Keep what a step was built from and what it left."""
        names = sorted(path.relative_to(self.build_dir).as_posix() for path in outputs)
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"inputs": inputs, "outputs": names}, indent=1), encoding="utf-8")

    def remove(self, key: str) -> None:
        """Forget a step: it is being built, and counts as not built until it has come to its end."""
        self._path(key).unlink(missing_ok=True)

    def reason(self, key: str, inputs: dict[str, str]) -> str:
        """Return in words why a step must be built; nothing if it is up to date."""
        stamp = self.read(key)
        if not stamp:
            return "not built yet"
        known = stamp.get("inputs", {})
        changed = [name for name in {**known, **inputs} if known.get(name) != inputs.get(name)]
        if changed:
            return f"changed: {', '.join(changed)}"
        whole = all((self.build_dir / name).is_file() for name in stamp["outputs"])
        return "" if whole else "results missing"
