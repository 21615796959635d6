"""The nodes of this installation, for administrators."""

import msgspec

from tellus.kernel.call import Call, Nothing
from tellus.kernel.paging import Page, PageQuery
from tellus.kernel.units import to_text
from tellus.nodes.service import NodeService


class NodeItem(msgspec.Struct, frozen=True):
    """A process that serves; ``on_duty`` marks the one that does the work in the background."""

    node_id: str
    base_url: str
    host: str
    pid: int
    version: str
    on_duty: bool
    started_at: str
    seen_at: str


async def list_nodes(nodes: NodeService, call: Call[Nothing, PageQuery]) -> Page[NodeItem]:
    """List the nodes that are there, oldest first."""
    query = call.query
    items = [
        NodeItem(
            node_id=node.node_id,
            base_url=node.address,
            host=node.host,
            pid=node.pid,
            version=node.version,
            on_duty=node.on_duty,
            started_at=to_text(node.started_ms),
            seen_at=to_text(node.seen_ms),
        )
        for node in await nodes.list_nodes()
    ]
    return Page(len(items), query.page, query.size, items[query.offset : query.offset + query.size])
