"""People who come from outside a cluster with nothing but a name and a password."""

from pathlib import Path

from system.sites import Site


def elsewhere(site: Site, folder: Path, **access: object) -> dict[str, str]:
    """The environment of somebody who is on no machine of the cluster and has no certificate."""
    text = (site.configuration / "Tashi.cfg").read_text()
    kept = [line for line in text.splitlines() if not line.startswith("localSocket")]
    lines = [f"{key} = {value}" for key, value in access.items()]
    folder.mkdir()
    (folder / "Tashi.cfg").write_text("\n".join([*kept, "[AccessClusterManager]", *lines, ""]))
    return {"HOME": str(folder), "TASHI_CONFIG_DIRS": str(folder)}


def secret(path: Path, password: str) -> Path:
    """A file that holds a password, for its owner's eyes only."""
    path.write_text(f"{password}\n")
    path.chmod(0o600)
    return path
