"""Of parameters that a docstring tells of together, each with its own type and default: as the signature has them."""

from typing import Any

import griffe


class OwnParameters(griffe.Extension):
    """Looks each parameter of a shared entry up; griffe gives all of them the first one's type and default."""

    def on_function(self, *, func: griffe.Function, **kwargs: Any) -> None:
        """Set what the signature says."""
        for section in func.docstring.parsed if func.docstring else ():
            if section.kind is not griffe.DocstringSectionKind.parameters:
                continue
            for told in section.value:
                if told.name in func.parameters:
                    own = func.parameters[told.name]
                    told.annotation, told.value = own.annotation, own.default
