"""Malformed requests made from a list of operations: seeded, each with the answers it may get.

The operations come from anywhere: the contract model, or any OpenAPI document through
`openapi_reader.operations_of`. Nothing here knows the server.
"""

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence

from tests.contract.fuzz_body import body_mutations
from tests.contract.fuzz_head import head_mutations
from tests.contract.fuzz_items import ORDERLY, Draft, FuzzItem, Mutation, draft_of
from tests.contract.shapes import Operation


def mutations_of(operation: Operation) -> list[Mutation]:
    """Every way in which this generator spoils requests of an operation, in a fixed order."""
    found = [*body_mutations(operation), *head_mutations(operation)]
    parks = any(item.name == "wait" for item in operation.parameters)
    return [mutation for mutation in found if not (parks and mutation.orderly)]


def generate(
    operations: Sequence[Operation],
    count: int,
    seed: int,
    path_values: Mapping[str, str] | None = None,
) -> Iterator[FuzzItem]:
    """Yields exactly `count` malformed requests; the same arguments give the same requests.

    Every (operation, mutation) comes once, in a shuffled order, before any comes again with other
    chance values, so that even a short run meets as many kinds as it can.
    """
    rng = random.Random(seed)
    pairs = [(op, mutation) for op in operations for mutation in mutations_of(op)]
    numbers = itertools.count(1)
    made = 0
    while made < count and pairs:
        rng.shuffle(pairs)
        for operation, mutation in pairs[: count - made]:
            draft = draft_of(operation, rng, path_values)
            mutation.spoil(draft)
            yield _item(next(numbers), draft, mutation)
            made += 1


def _item(number: int, draft: Draft, mutation: Mutation) -> FuzzItem:
    operation = draft.operation
    acceptable = draft.acceptable | (ORDERLY if mutation.orderly else frozenset())
    if operation.answer(101) is not None:
        acceptable |= {426}
    return FuzzItem(
        number,
        operation.key,
        mutation.what,
        draft.method,
        draft.request_target(),
        draft.headers,
        draft.body,
        acceptable,
        operation.audience,
        operation.scope,
        draft.may_close,
    )
