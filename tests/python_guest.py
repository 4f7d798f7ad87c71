"""A guest with Debian's cloud kernel and Python: a machine whose kernel has what this one may lack.

All of it is a RAM disk in two archives. One holds Debian's Python, a few programs with their
libraries and kernel modules, and is kept below build/; the other holds the source that is to be
tried and is made anew each time. What the guest is told to run says what it finds on the serial
console. Modules are loaded by the kernel itself when somebody asks for what they do.
"""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

PYTHON: Final = Path("/usr/bin/python3")
BUSYBOX: Final = "busybox"
MODPROBE: Final = "modprobe"
PROGRAMS: Final = ("ip", "nft", MODPROBE, "ping", BUSYBOX, "/lib/systemd/systemd-networkd")
MODULES: Final = (
    *("virtio_pci", "virtio_net", "8021q", "bridge", "tun", "veth", "vxlan"),
    *("nf_tables", "nft_meta_bridge", "nft_compat"),
)
BOOT_SECONDS: Final = 270.0

_PATH: Final = "/usr/sbin:/usr/bin:/sbin:/bin"
_LIBRARY: Final = re.compile(r"(?:=> )?(/\S+) \(0x")
_NOT_NEEDED: Final = shutil.ignore_patterns(
    "test", "idlelib", "tkinter", "lib2to3", "ensurepip", "pydoc_data", "config-*", "turtledemo",
    "distutils", "xml", "curses", "venv", "wsgiref",
)  # fmt: skip
_KERNEL_WORDS: Final = "console=ttyS0 quiet loglevel=3 nokaslr mitigations=off panic=-1"
_INIT: Final = """\
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs devtmpfs /dev 2>/dev/null
/bin/busybox mount -t tmpfs tmpfs /run
/bin/busybox mkdir -p /dev/net /run/netns
export PATH={path} PYTHONPATH=/source PYTHONDONTWRITEBYTECODE=1
for module in virtio_pci virtio_net tun; do modprobe "$module"; done
{python} -P -W ignore /source/inside.py >/dev/ttyS0 2>&1 </dev/null
echo GUEST-ENDED >/dev/ttyS0
/bin/busybox poweroff -f
"""


class PythonGuest:
    """Builds the guest in a folder, and boots it."""

    def __init__(self, checkout: Path) -> None:
        self._checkout = checkout
        self._kept = checkout / "build/python-guest"

    def run(self, source: Iterable[tuple[Path, str]], work: Path) -> str:
        """What the console says while `inside.py` runs; `source` are files or folders and names."""
        base = self._base()
        tree = work / "tree"
        for path, name in source:
            _copy(path, tree / "source" / name)
        changing = _pack(tree, work / "source.cpio")
        initrd = work / "initrd"
        # In this order: a compressed archive may only be the last.
        initrd.write_bytes(changing.read_bytes() + (base / "base.cpio.zst").read_bytes())
        # fmt: off
        command = [
            "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,tb-size=64", "-cpu", "max",
            "-m", "384", "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio",
            "-kernel", str(base / "vmlinuz"), "-initrd", str(initrd),
            # On a busy machine the kernel would else take its timer for broken.
            "-append", f"{_KERNEL_WORDS} no_timer_check",
            "-netdev", "hubport,id=a,hubid=0", "-device", "virtio-net-pci,netdev=a,romfile=",
            "-netdev", "hubport,id=b,hubid=0", "-device", "virtio-net-pci,netdev=b,romfile=",
        ]
        # fmt: on
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=BOOT_SECONDS, check=False
        )
        return done.stdout + done.stderr

    def _base(self) -> Path:
        """The folder with the kernel and the archive that does not change, made if need be."""
        recipe = Path(__file__).read_bytes() + PYTHON.resolve().read_bytes()
        made = self._kept / hashlib.sha256(recipe).hexdigest()[:16]
        if not made.exists():
            shutil.rmtree(self._kept, ignore_errors=True)
            new = self._kept / "new"
            new.mkdir(parents=True)
            self._build(new)
            new.rename(made)
        return made

    def _build(self, folder: Path) -> None:
        kernel = folder / "kernel"
        kernel.mkdir()
        _do(str(self._checkout / "tools/guest/kernel"), str(kernel))
        (kernel / "vmlinuz").rename(folder / "vmlinuz")
        tree = folder / "tree"
        for name in ("dev", "proc", "sys", "run", "tmp", "etc", "var"):
            (tree / name).mkdir(parents=True)
        (tree / "var/run").symlink_to("/run")
        python = PYTHON.resolve()
        stdlib = Path(_do(str(PYTHON), "-c", "import os; print(os.__file__)").strip()).parent
        shutil.copytree(stdlib, Path(f"{tree}{stdlib}"), ignore=_NOT_NEEDED, symlinks=False)
        programs = {name: Path(_found(name)) for name in PROGRAMS}
        extensions = (stdlib / "lib-dynload").glob("*.so")
        for file in _with_libraries([python, *programs.values(), *extensions]):
            _copy(file.resolve(), Path(f"{tree}{file}"))
        _copy(programs[BUSYBOX], tree / "bin/busybox")
        _copy(programs[MODPROBE].resolve(), tree / "sbin/modprobe")
        _copy_modules(kernel, tree)
        init = tree / "init"
        init.write_text(_INIT.format(path=_PATH, python=python))
        init.chmod(0o755)
        archive = _pack(tree, folder / "base.cpio")
        _do("zstd", "-q", "-3", "--rm", str(archive), "-o", str(folder / "base.cpio.zst"))
        shutil.rmtree(tree)
        shutil.rmtree(kernel)


def _copy_modules(kernel: Path, tree: Path) -> None:
    [release] = [entry.name for entry in (kernel / "lib/modules").iterdir()]
    for module in MODULES:
        shown = _do("modprobe", "-d", str(kernel), "-S", release, "--show-depends", module)
        for line in shown.splitlines():
            if line.startswith("insmod "):
                file = Path(line.split()[1])
                within = file.parts[file.parts.index(release) :]
                _copy(file, tree.joinpath("lib/modules", *within))
    for name in ("modules.builtin", "modules.order", "modules.builtin.modinfo"):
        if (found := kernel / "lib/modules" / release / name).exists():
            _copy(found, tree / "lib/modules" / release / name)
    _do("depmod", "-b", str(tree), release)


def _with_libraries(files: list[Path]) -> Iterator[Path]:
    """These programs and libraries, and all that the loader would load with them."""
    needed = set(files)
    for file in files:
        told = subprocess.run(["ldd", str(file)], capture_output=True, text=True, check=False)
        needed |= {Path(found) for found in _LIBRARY.findall(told.stdout)}
    yield from sorted(needed)


def _found(program: str) -> str:
    found = shutil.which(program, path=_PATH)
    assert found is not None, f"There is no {program} here: see tools/debian-packages.txt."
    return found


def _copy(file: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    if file.is_dir():
        shutil.copytree(file, to, dirs_exist_ok=True)
    elif not to.exists():
        shutil.copy2(file, to)


def _pack(tree: Path, archive: Path) -> Path:
    names = "\0".join(
        str(path.relative_to(tree)) for path in sorted(tree.rglob("*")) if path != tree
    )
    with archive.open("wb") as out:
        subprocess.run(
            ["cpio", "--null", "--create", "--format=newc", "--owner=0:0", "--quiet"],
            cwd=tree, input=names.encode(), stdout=out, check=True,
        )  # fmt: skip
    return archive


def _do(*command: str) -> str:
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}:{_PATH}"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, f"{command[0]} failed: {done.stderr or done.stdout}"
    return done.stdout
