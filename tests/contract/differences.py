"""What two descriptions of the same operations say differently, in readable lines."""

from collections.abc import Iterator, Mapping

from tests.contract.shapes import ANY, Form, Kind, Operation, Parameter, Shape

_BOUNDS = ("kind", "lo", "hi", "longest", "fewest", "most", "nullable")


def differences(ours: tuple[Operation, ...], theirs: tuple[Operation, ...]) -> list[str]:
    """Every difference between two lists of operations; an empty list means they agree."""
    left = {operation.key: operation for operation in ours}
    right = {operation.key: operation for operation in theirs}
    found = [*_missing("operation", left, right)]
    for key in left.keys() & right.keys():
        found.extend(f"{key}: {line}" for line in _of_operation(left[key], right[key]))
    return sorted(found)


def _missing(what: str, ours: Mapping[str, object], theirs: Mapping[str, object]) -> Iterator[str]:
    yield from (f"{what} {name} is not published" for name in ours.keys() - theirs.keys())
    yield from (f"{what} {name} is published only" for name in theirs.keys() - ours.keys())


def _of_operation(ours: Operation, theirs: Operation) -> Iterator[str]:
    if ours.security_stated != theirs.security_stated:
        yield "one says which credentials are needed, the other does not"
    elif ours.security_stated and (ours.audience, ours.scope) != (theirs.audience, theirs.scope):
        yield f"{ours.audience}/{ours.scope} against {theirs.audience}/{theirs.scope}"
    yield from _of_parameters(ours.parameters, theirs.parameters)
    if (ours.request is None) != (theirs.request is None):
        yield "a request body on one side only"
    elif ours.request is not None and theirs.request is not None:
        if ours.body_required != theirs.body_required:
            yield "the body is required on one side only"
        yield from _of_shapes("request", ours.request, theirs.request)
    yield from _of_answers(ours, theirs)


def _of_parameters(ours: tuple[Parameter, ...], theirs: tuple[Parameter, ...]) -> Iterator[str]:
    left = {f"{item.place}.{item.name}": item for item in ours}
    right = {f"{item.place}.{item.name}": item for item in theirs}
    yield from _missing("parameter", left, right)
    for name in left.keys() & right.keys():
        one, other = left[name], right[name]
        if (one.required, one.default) != (other.required, other.default):
            yield f"{name}: required or default differ"
        yield from _of_shapes(name, one.shape, other.shape)


def _of_answers(ours: Operation, theirs: Operation) -> Iterator[str]:
    left = {str(status): answer for status, answer in ours.answers}
    right = {str(status): answer for status, answer in theirs.answers}
    yield from _missing("answer", left, right)
    for status in left.keys() & right.keys():
        one, other = left[status], right[status]
        if one.described != other.described:
            yield f"answer {status}: described on one side only"
        elif one.described and one.form is not other.form:
            yield f"answer {status}: {one.form} against {other.form}"
        elif one.described and one.form is not Form.FAILURE:
            yield from _of_shapes(f"answer {status}", one.payload, other.payload)


def _of_shapes(where: str, ours: Shape, theirs: Shape) -> Iterator[str]:
    for name in _BOUNDS:
        one, other = getattr(ours, name), getattr(theirs, name)
        if one != other:
            yield f"{where}: {name} {one} against {other}"
    if set(ours.choices) != set(theirs.choices):
        yield f"{where}: choices {ours.choices} against {theirs.choices}"
    if ours.kind is Kind.ARRAY and theirs.kind is Kind.ARRAY:
        yield from _of_shapes(f"{where}[]", ours.items or ANY, theirs.items or ANY)
    left = {field.name: field for field in ours.fields}
    right = {field.name: field for field in theirs.fields}
    yield from _missing(f"{where}: field", left, right)
    for name in left.keys() & right.keys():
        if left[name].required != right[name].required:
            yield f"{where}.{name}: required on one side only"
        yield from _of_shapes(f"{where}.{name}", left[name].shape, right[name].shape)
