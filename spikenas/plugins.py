"""`import_plugins`: imports modules with a user's own components, with the user's consent.

A space names its plugins, and its runs and exports repeat the names. Somebody else may have
written that text, so a module is only imported with ``--allow-plugins``, ``allow_plugins=True``,
or SPIKENAS_ALLOW_PLUGINS=1 in the environment.
"""

import os
import sys
import tomllib
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

from spikenas import registry
from spikenas.code import sources
from spikenas.exceptions import SpecError, UsageError

_CONSENT = "--allow-plugins (in Python: allow_plugins=True; or SPIKENAS_ALLOW_PLUGINS=1)"


def import_plugins(
    modules: Sequence[str], *, of: str, is_allowed: bool, folder: Path | None = None
) -> None:
    """Import modules that register components.

    ``folder`` and the working folder are appended to ``sys.path``, so that a file there never
    shadows an installed module.

    Raises:
        SpecError: the user has not consented, or a module cannot be imported.
    """
    if not modules:
        return
    if not (is_allowed or os.environ.get("SPIKENAS_ALLOW_PLUGINS") == "1"):
        raise SpecError(
            f"{of}: plugins = {list(modules)} would run code of those modules; "
            f"if you trust them, use {_CONSENT}"
        )
    registry.names("mixer")  # registers our own components first, so their names are taken
    for place in (folder, Path.cwd()):
        if place is not None and str(place.absolute()) not in sys.path:
            sys.path.append(str(place.absolute()))
    for module in modules:
        try:
            import_module(module)
        except ImportError as error:
            raise SpecError(
                f"{of}: plugins names {module!r}, which cannot be imported: {error}; "
                "install it in this environment and on every worker, put its file into the working "
                f"folder{' or beside the TOML' * bool(folder)}, or name its folder in PYTHONPATH"
            ) from error
        except (Exception, SystemExit) as error:  # a module may raise anything
            raise SpecError(
                f"{of}: plugins names {module!r}, which fails when it is imported: "
                f"{type(error).__name__}: {error}; fix it"
            ) from error


def refuse_changed(
    modules: Sequence[str], recorded: Mapping[str, str], *, of: str, accept_changes: bool
) -> None:
    """Raise UsageError if the source of a plugin has changed since a network was trained.

    ``recorded`` has the digests at that time, by module; other modules are not compared.
    """
    own = {module.partition(".")[0] for module in modules}
    now = sources(modules) if modules and not accept_changes else {}
    changed = [
        name
        for name, digest in now.items()
        if name.partition(".")[0] in own and recorded.get(name, digest) != digest
    ]
    if changed:
        raise UsageError(
            f"{of}: {', '.join(changed)} changed since the network was trained, so its outputs "
            "may differ; restore the code, or use --accept-changes (in Python: "
            "accept_changes=True)"
        )


def plugins_in(space_toml: str) -> tuple[str, ...]:
    """Return the plugins that the text of a space names, without importing them."""
    try:
        named = tomllib.loads(space_toml).get("space", {}).get("plugins", [])
    except tomllib.TOMLDecodeError:
        return ()
    return tuple(str(module) for module in named)
