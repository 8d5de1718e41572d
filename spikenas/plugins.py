"""`import_plugins`: modules of the user's own with further components, and only with consent.

A space names its plugins, and a run or an export repeats the names. Whoever wrote that text is not
the user who reads it, so a module is imported only where the user said so: by ``--allow-plugins``,
``allow_plugins=True``, or SPIKENAS_ALLOW_PLUGINS=1 in the environment.
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
    """Import modules in which components are registered.

    They are looked for where Python looks, then in ``folder`` and in the working folder; these
    come last, so that a file there never takes the place of an installed module.

    Raises:
        SpecError: the user did not consent, and how to; or a module cannot be imported.
    """
    if not modules:
        return
    if not (is_allowed or os.environ.get("SPIKENAS_ALLOW_PLUGINS") == "1"):
        raise SpecError(
            f"{of}: plugins = {list(modules)} would run code of those modules; "
            f"if you trust them, say {_CONSENT}"
        )
    registry.names("mixer")  # our own families first: a plugin must not take their names
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
        except (Exception, SystemExit) as error:  # whatever the module does
            raise SpecError(
                f"{of}: plugins names {module!r}, which fails when it is imported: "
                f"{type(error).__name__}: {error}; mend it"
            ) from error


def refuse_changed(
    modules: Sequence[str], recorded: Mapping[str, str], *, of: str, accept_changes: bool
) -> None:
    """Refuse plugins whose source is not the one that a network was trained with.

    ``recorded`` is its code, by module; what it does not have is not compared.

    Raises UsageError naming the modules.
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
            f"{of}: {', '.join(changed)} changed since the network was trained, so it would not "
            "be that network; put the code back, or say --accept-changes (in Python: "
            "accept_changes=True)"
        )


def plugins_in(space_toml: str) -> tuple[str, ...]:
    """Return the plugins that the text of a space names; nothing is imported."""
    try:
        named = tomllib.loads(space_toml).get("space", {}).get("plugins", [])
    except tomllib.TOMLDecodeError:
        return ()
    return tuple(str(module) for module in named)
