"""Where disk images are."""

from pathlib import Path

from tashi.settings import kinds
from tashi.settings.declare import section, setting


@section("Vfs")
class VfsSettings:
    """The image store: a folder that every host sees under the same path."""

    prefix: Path = setting(
        "prefix",
        kinds.path,
        default=Path("/var/lib/tashi"),
        words="""The folder that holds images/ and suspend/; on a cluster a mount that all hosts
        share, such as /mnt/merkabah/tashi/.""",
    )
    max_image_size: int = setting(
        "maxImageSize",
        kinds.mebibytes,
        default=1_048_576,
        words="The most MiB that an imported image may have.",
    )
