"""A virtual machine that runs a command under Debian's own kernel, bluetoothd and D-Bus.

``python tests/bluez/machine.py --kernel TREE COMMAND…`` boots, runs the command
with ``/dev/vhci`` and an unmodified bluetoothd beside it, powers off and exits with the
command's code. Needs qemu-system-x86, kmod, busybox-static, bluez and dbus; TREE is an unpacked
Debian kernel package (pin its release: some panic while pairing). Emulated: no KVM is needed.

The machine's root is this machine's, read-only over 9p, with what is written kept in its memory;
so the same Python and the same checkout run inside.
"""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

# Boot, bluetoothd, five scenarios and power-off take about two minutes under emulation.
RUN_S_MAX: Final = 240
MEMORY_MIB: Final = 1024
NEEDED: Final = ("qemu-system-x86_64", "modprobe", "depmod", "busybox", "bluetoothd", "dbus-daemon")

# Pairing needs the hashes and ciphers there before the Bluetooth core asks for them.
_MODULES: Final = (
    *("virtio_pci", "9pnet_virtio", "9p", "overlay", "virtio_rng"),
    *("sha256_generic", "sha512_generic", "hmac", "ctr", "aes_generic", "drbg", "cmac", "ecb"),
    *("algif_hash", "algif_skcipher"),
    *("uhid", "bluetooth", "hci_vhci"),
)
_SAID: Final = re.compile(r"^machine: exit (\d+)\s*$", re.MULTILINE)
_NOT_RUN: Final = 125  # as container runners say that the command never ran

_HERE: Final = Path(__file__).parent


class NotPossible(Exception):
    """The machine cannot be made here; the message says what to install."""


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Run a command beside a real bluetoothd.")
    parser.add_argument("--kernel", type=Path, required=True, help="an unpacked kernel package")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    wanted = parser.parse_args()
    try:
        return run(wanted.kernel, wanted.command, wanted.set)
    except NotPossible as error:
        sys.stderr.write(f"machine: {error}\n")
        return _NOT_RUN


def run(kernel: Path, command: Sequence[str], environment: Sequence[str] = ()) -> int:
    """Run *command* in the machine, its output here; return its exit code.

    Raises:
        NotPossible: Something that is needed is not installed.
    """
    image, release = _kernel(kernel)
    if missing := [name for name in NEEDED if _program(name) is None]:
        problem = (
            f"needs {', '.join(missing)}: install qemu-system-x86 kmod busybox-static bluez dbus"
        )
        raise NotPossible(problem)
    with tempfile.TemporaryDirectory() as directory:
        initramfs = Path(directory) / "initramfs"
        _pack(Path(directory) / "tree", kernel, release, _inside(command, environment), initramfs)
        return _boot(image, initramfs)


def _kernel(tree: Path) -> tuple[Path, str]:
    images = sorted(tree.glob("boot/vmlinuz-*"))
    if not images:
        problem = f"no kernel in {tree}: unpack linux-image there (apt-get download, dpkg -x)"
        raise NotPossible(problem)
    return images[0], images[0].name.removeprefix("vmlinuz-")


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin:/usr/libexec/bluetooth")


def _inside(command: Sequence[str], environment: Sequence[str]) -> str:
    bluetoothd = f"{_program('bluetoothd')} --nodetach"
    return (
        (_HERE / "inside.sh")
        .read_text()
        .replace("@BLUETOOTHD@", bluetoothd)
        .replace("@DIRECTORY@", shlex.quote(str(Path.cwd())))
        .replace("@ENVIRONMENT@", " ".join(shlex.quote(each) for each in environment))
        .replace("@COMMAND@", shlex.join(command))
    )


def _pack(tree: Path, kernel: Path, release: str, inside: str, initramfs: Path) -> None:
    for name in ("bin", "dev", "lower", "modules", "proc", "root", "written"):
        (tree / name).mkdir(parents=True)
    busybox = _program("busybox")
    assert busybox is not None  # looked for before
    shutil.copy(busybox, tree / "bin/busybox")
    (tree / "modules/order").write_text("\n".join(_modules(kernel, release, tree / "modules")))
    (tree / "inside").write_text(inside)
    shutil.copy(_HERE / "init.sh", tree / "init")
    (tree / "init").chmod(0o755)
    names = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
    with initramfs.open("wb") as file:
        subprocess.run(
            [busybox, "cpio", "-o", "-H", "newc"],
            input=names.encode(),
            stdout=file,
            stderr=subprocess.DEVNULL,
            cwd=tree,
            check=True,
        )


def _modules(kernel: Path, release: str, to: Path) -> list[str]:
    """Copy the modules that are needed, and return their names in the order to load them."""
    depmod, modprobe = _program("depmod"), _program("modprobe")
    assert depmod is not None
    assert modprobe is not None  # both looked for before
    subprocess.run([depmod, "-b", kernel, release], check=True)
    order: list[str] = []
    for module in _MODULES:
        asked = [modprobe, "-d", str(kernel), "-S", release, "--show-depends", module]
        told = subprocess.run(asked, check=True, stdout=subprocess.PIPE, text=True).stdout
        for line in told.splitlines():
            word, _, path = line.partition(" ")
            if word == "insmod" and Path(path.strip()).name not in order:
                order.append(Path(path.strip()).name)
                shutil.copy(path.strip(), to)
    return order


def _boot(image: Path, initramfs: Path) -> int:
    qemu = _program("qemu-system-x86_64")
    assert qemu is not None  # looked for before
    command = [qemu, "-accel", "tcg,thread=multi", "-cpu", "Nehalem", "-smp", "2"]
    command += [
        "-m",
        str(MEMORY_MIB),
        "-display",
        "none",
        "-vga",
        "none",
        "-no-reboot",
        "-nodefaults",
    ]
    command += ["-serial", "stdio", "-kernel", str(image), "-initrd", str(initramfs)]
    command += ["-append", "console=ttyS0 quiet panic=-1 loglevel=3 tsc=unstable"]
    command += ["-device", "virtio-rng-pci"]
    command += [
        "-virtfs",
        "local,path=/,mount_tag=root,security_model=none,readonly=on,multidevs=remap",
    ]
    said = bytearray()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        timer = _Limit(process)
        assert process.stdout is not None  # a pipe
        while chunk := os.read(process.stdout.fileno(), 65536):
            said += chunk
            sys.stdout.write(chunk.decode(errors="replace"))
            sys.stdout.flush()
        timer.stop()
    found = _SAID.search(said.decode(errors="replace").replace("\r", ""))
    if found is None:
        why = f"not done within {RUN_S_MAX} s" if timer.passed else "it ended without a verdict"
        sys.stderr.write(f"machine: {why}\n")
        return 1
    return int(found[1])


class _Limit:
    """Kills a process that runs too long."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.passed = False
        self._process = process
        self._timer = threading.Timer(RUN_S_MAX, self._kill)
        self._timer.start()

    def stop(self) -> None:
        self._timer.cancel()

    def _kill(self) -> None:
        self.passed = True
        self._process.kill()


if __name__ == "__main__":
    sys.exit(main())
