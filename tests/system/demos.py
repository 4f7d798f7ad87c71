"""A folder in the layout of a checkout, in which a demo is brought up and down."""

import os
import subprocess
import sys
import tempfile
import tomllib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DemoCheckout:
    """A folder that looks like a checkout to the demo."""

    folder: Path
    environment: dict[str, str]

    @property
    def config(self) -> Path:
        return self.folder / ".demo" / "etc" / "Tashi.cfg"

    def demo(self, what: str, *more: str) -> subprocess.CompletedProcess[str]:
        """Run `make demo` (up) or `make demo-down` (down)."""
        return self.run(sys.executable, "-m", "tashi.programs.demo", what, *more)

    def client(self, *words: str) -> str:
        """What the client says when it is called in the checkout, as people call it."""
        return self.run("tashi-client", *words).stdout

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def processes(self) -> dict[str, int]:
        """Whatever runs with the demo's configuration or names its folder."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # ended while we looked
                words = (entry / "cmdline").read_bytes()
                if str(self.folder).encode() in words + (entry / "environ").read_bytes():
                    found[words.replace(b"\0", b" ").decode()] = int(entry.name)
        return found


def checkout_for_a_demo(guest_image: Path, checkout: Path) -> DemoCheckout:
    """A folder with a short name (QEMU's sockets lie in it), with the demo's image built."""
    folder = Path(tempfile.mkdtemp(prefix="demo-", dir="/tmp"))
    (folder / "etc").mkdir()
    (folder / "build" / "guest").mkdir(parents=True)
    (folder / "build" / "guest" / guest_image.name).symlink_to(guest_image)
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TASHI_")}
    return DemoCheckout(
        folder,
        kept
        | {
            "HOME": str(folder),
            "PATH": f"{Path(sys.executable).parent}:{_scripts(checkout, folder)}:{kept['PATH']}",
            "PYTHONPATH": str(checkout / "src"),
        },
    )


def _scripts(checkout: Path, folder: Path) -> Path:
    """The programs as scripts, for an environment that this tree is not installed into."""
    scripts = folder / "scripts"
    scripts.mkdir()
    metadata = tomllib.loads((checkout / "pyproject.toml").read_text())
    for name, target in metadata["project"]["scripts"].items():
        module = target.partition(":")[0]
        text = f"#!{sys.executable}\nimport sys\nfrom {module} import main\nsys.exit(main())\n"
        (scripts / name).write_text(text)
        (scripts / name).chmod(0o755)
    return scripts
