"""python -m petrel_plugin.build DIR [OUTPUT]: from a plugin's source to a component.

Prints name, version and file. Only the interfaces of the host that the plugin uses become imports, since the
import list is what an operator is asked to grant. WASI is replaced by stubs that trap: the host has none.
"""

import ast
import hashlib
import importlib.metadata
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

SDK = Path(__file__).resolve().parent
#: What the runtime calls `Processor` in; the plugin's own module is imported by it.
APP = "petrel_component"
#: Modules of the SDK that stand for an interface of the host.
INTERFACES = ("accel", "clock", "log", "lookup", "metrics", "random", "state")


def main(directory, output=None):
    directory = Path(directory).resolve()
    with open(directory / "pyproject.toml", "rb") as file:
        project = tomllib.load(file)["project"]
    source = directory / "src"
    output = Path(output) if output else directory / "dist" / f"{project['name']}.wasm"
    output.parent.mkdir(parents=True, exist_ok=True)

    files = sorted(source.rglob("*.py"))
    if source / "plugin.py" not in files:
        sys.exit(f"{source / 'plugin.py'} is missing: the plugin's own module")
    wit = (SDK.parent / "wit" / "plugin.wit").read_text()
    imports = "".join(f"  import {name};\n" for name in sorted(used(files)))
    world = wit[: wit.index("world plugin {")] + f"world plugin {{\n{imports}  export processor;\n}}\n"

    # A component is never the same twice, takes ten seconds to make and longer to compile: only for a reason.
    tool = importlib.metadata.version("componentize-py")
    parts = [tool, world, *(text for file in (*files, *sorted(SDK.glob("*.py"))) for text in (str(file), file.read_text()))]
    note = output.with_name(output.name + ".made-from")
    if not (output.exists() and note.exists() and note.read_text() == digest(parts, output)):
        make(source, world, output)
        note.write_text(digest(parts, output))
    print(project["name"], project["version"], output, sep="\n")


def used(files):
    """The interfaces that the plugin imports through the SDK."""
    found = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(), file)):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            else:
                continue
            found.update(name for name in INTERFACES if f"petrel_plugin.{name}" in names)
    return found


def digest(parts, output):
    return hashlib.sha256("\0".join([*parts, hashlib.sha256(output.read_bytes()).hexdigest()]).encode()).hexdigest()


def make(source, world, output):
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        (directory / "plugin.wit").write_text(world)
        app = directory / "app"
        app.mkdir()
        (app / f"{APP}.py").write_text("import plugin\nfrom petrel_plugin.guest import Processor\n")
        made = directory / "made.wasm"
        tool = [Path(sys.executable).with_name("componentize-py"), "--quiet", "-d", directory / "plugin.wit", "-w", "plugin"]
        paths = [argument for path in (source, SDK.parent, app) for argument in ("-p", path)]
        status = subprocess.run([*tool, "componentize", APP, *paths, "-o", made, "--stub-wasi"]).returncode
        if status:
            sys.exit(status)
        # Whole or not at all: an agent may be watching this file.
        unfinished = output.with_name(output.name + ".new")
        unfinished.write_bytes(made.read_bytes())
        os.replace(unfinished, output)


if __name__ == "__main__":
    main(*sys.argv[1:])
