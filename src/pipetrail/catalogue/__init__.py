"""The catalogue: what reasons mean, which causes stand behind them, how messages tell one cause from another.

It is data, in the folder ``data`` beside this module. The files are YAML: the configuration is YAML too, its reader is
there already, and a pattern in single quotes needs no escapes. (TOML is read by the standard library, but several times
slower, and a long text in it looks worse.) Every file is checked by msgspec when it is loaded. A file has any of these
parts:

=============  =======================================================================================================
``causes``     by id: title, meaning, what to do, category, blame and what ranking needs
``reasons``    by component, kind and reason: who says a word, where it stands, and the cause that it points to
``messages``   rows that recognise a cause in the message of a reason
``aliases``    other names of a component
``edges``      which causes and reasons explain which others, how far apart
``recoveries`` which reasons show that another one has passed
``makers``     for an exit code, who can have made it
``victims``    causes that are a consequence wherever a peer failed before
``sides``      names of containers that stand beside a program, such as the proxy of a mesh
=============  =======================================================================================================

A team adds a folder of its own files of the same form: a cause or reason that is there already is changed field by
field, rows of messages are tried before the ones that come with pipetrail, the rest is added.
"""

from pipetrail.catalogue.reading import CatalogueError, load
from pipetrail.catalogue.search import Catalogue, Signals
from pipetrail.catalogue.types import TURNS, Cause, Edge, Entry, Maker, Recovery, filled

__all__ = [
    "TURNS",
    "Catalogue",
    "CatalogueError",
    "Cause",
    "Edge",
    "Entry",
    "Maker",
    "Recovery",
    "Signals",
    "filled",
    "load",
]
