#!/usr/bin/env python3
"""Makes `import torch` work without a GPU's libraries: python3 scripts/stubs.py FOLDER

libtorch_python.so of the CUDA wheel links to libtorch_cuda.so and others that want 4 GB of NVIDIA
libraries to load. On a machine without a GPU none of their functions is ever of use, so small
libraries that define the same names, each a function that does nothing, take their place in
FOLDER/nvidia/cu13/lib, where the wheel's libraries look for them. Everything else is PyTorch's own.
"""

import subprocess
import sys
import tempfile
from pathlib import Path


def symbols(library: Path, which: str) -> set[str]:
    """The dynamic symbols that `library` defines or leaves undefined, without versions."""
    listed = subprocess.run(["nm", "-D", which, library], check=True, capture_output=True, text=True)
    return {line.split()[-1].split("@")[0] for line in listed.stdout.splitlines()}


def assembly(names: set[str]) -> str:
    """Functions that return the address of zeros, since some callers write there; type information
    that can be asked for its name; tables of virtual functions that are all zero."""
    lines = [".bss", ".balign 256", "zeros: .zero 4096"]
    lines += [".text", "nothing: leaq zeros(%rip), %rax", "ret"]
    for name in sorted(names):
        lines.append(f".globl {name}")
        if name.startswith("_ZTI"):
            lines += [".data", f"{name}: .quad _ZTVN10__cxxabiv117__class_type_infoE+16, 1f"]
            lines += [f'1: .asciz "{name[4:]}"', ".balign 8", ".text"]
        elif name.startswith("_ZTV"):
            lines += [".data", f"{name}: .zero 512", ".text"]
        else:
            lines += [f".type {name}, @function", f".set {name}, nothing"]
    return "\n".join([*lines, '.section .note.GNU-stack,"",@progbits', ""])


def build(out: Path, names: set[str], versioned: bool) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        source, versions = Path(scratch, "stub.s"), Path(scratch, "versions")
        source.write_text(assembly(names))
        versions.write_text(f"{out.name} {{ global: *; }};\n")
        options = [f"-Wl,--version-script={versions}"] if versioned else []
        command = ["g++", "-shared", f"-Wl,-soname,{out.name}", "-o", out, *options, source]
        subprocess.run(command, check=True)


def main(folder: Path) -> None:
    lib, out = folder / "torch" / "lib", folder / "nvidia" / "cu13" / "lib"
    wanted = symbols(lib / "libtorch_python.so", "--undefined-only")
    cuda: set[str] = set()
    for name in ("libtorch_cuda.so", "libtorch_nvshmem.so"):
        cuda |= symbols(lib / name, "--defined-only")
        (lib / name).unlink()
    build(out / "libtorch_cuda.so", wanted & cuda - symbols(lib / "libtorch_cpu.so", "--defined-only"), False)
    build(out / "libcudnn.so.9", {name for name in wanted if name.startswith("cudnn")}, True)
    build(out / "libcufile.so.0", {name for name in wanted if name.startswith("cuFile")}, True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
