"""Which file system a folder lies on: databases in files need one of this machine."""

from pathlib import Path

MOUNTS = Path("/proc/mounts")
NETWORK = (
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "beegfs", "gpfs", "ceph", "afs", "glusterfs", "fuse.sshfs",
    "fuse.glusterfs", "fuse.s3fs", "fuse.rclone",
)  # fmt: skip


def network(folder: Path) -> str:
    """The kind of network file system that a folder lies on; empty where it is none, or nothing is known."""
    try:
        lines = MOUNTS.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    kind, deepest = "", -1
    for line in lines:
        words = line.split()
        mounted = Path(words[1].encode().decode("unicode_escape"))  # a blank is written \\040 there
        if (folder == mounted or mounted in folder.parents) and len(mounted.parts) >= deepest:
            kind, deepest = words[2], len(mounted.parts)
    return kind if kind in NETWORK else ""
