"""Commands that list what ships: spaces, chips, published."""

from dataclasses import asdict

from spikenas.cli import documents
from spikenas.cli.options import JsonOption
from spikenas.cli.output import print_document, print_table, say

_CLASSES = {
    "none": "without a clock: the result must not depend on coincident events",
    "time_step": "with a time step: all neurons finish a step together",
}


def spaces(*, as_json: JsonOption = False) -> None:
    """List the search spaces that ship with spikenas."""
    from spikenas import shipped
    from spikenas.search_space import SearchSpace

    lines = []
    for name in shipped.names("search_spaces"):
        space = SearchSpace.load(name)
        size = space.size()
        line = documents.SpaceLine(
            name=name,
            size=int(size),
            size_is_exact=size.is_exact,
            description=space.description,
        )
        lines.append((line, str(size)))
    if as_json:
        print_document(documents.Spaces(spaces=[line for line, _ in lines]))
        return
    from spikenas.report import tables

    print_table(
        tables.records(
            [
                {"space": line.name, "architectures": size, "description": line.description}
                for line, size in lines
            ]
        )
    )


def chips(*, as_json: JsonOption = False) -> None:
    """List the chip profiles that ship with spikenas."""
    from spikenas import hardware

    profiles = [hardware.chip(name) for name in hardware.chips()]
    lines = [
        documents.ChipLine(
            name=profile.name,
            clock=profile.clock,
            title=profile.title,
            rules=len(profile.rules),
            limits=len(profile.limits),
            placement=profile.placement,
        )
        for profile in sorted(profiles, key=lambda profile: profile.clock)
    ]
    if as_json:
        print_document(documents.Chips(chips=lines))
        return
    from spikenas.report import tables

    for clock, heading in _CLASSES.items():
        rows = [asdict(line) for line in lines if line.clock == clock]
        print_table(tables.records(rows), heading)


def published(*, as_json: JsonOption = False) -> None:
    """List the published architectures that ARCH may name.

    Parameters and MACs are our counts; operations (ops), top-1 accuracy and energy are those of
    the source.
    """
    from spikenas import systems

    if as_json:
        lines = [
            documents.PublishedLine(
                **asdict(system), architecture=systems.published(name).to_dict()
            )
            for name, system in systems.PUBLISHED.items()
        ]
        print_document(documents.Published(architectures=lines))
        return
    from spikenas.report import tables

    print_table(tables.published(list(systems.PUBLISHED.values())))
    say("other depths and widths can be named too: <system>-<depth>-<width>-<dataset>")
