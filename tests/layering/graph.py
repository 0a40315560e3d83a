"""What folder includes what, as a graph."""


def circles(edges):
    """The groups of nodes that reach each other (Tarjan, SIAM J. Comput. 1(2), 1972).

    `edges` maps a node to those it points at. Each circle is a sorted list.
    """
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in sorted(edges.get(node, ())):
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] != index[node]:
            return
        at = stack.index(node)
        circle = sorted(stack[at:])
        del stack[at:]
        if len(circle) > 1:
            found.append(circle)

    for node in sorted(edges):
        if node not in index:
            visit(node)
    return sorted(found)


def reachable(edges, node):
    """All that can be reached from the node, without itself."""
    seen, pending = set(), list(edges.get(node, ()))
    while pending:
        target = pending.pop()
        if target not in seen:
            seen.add(target)
            pending.extend(edges.get(target, ()))
    return seen


def reduced(edges):
    """The same graph without the arrows that others imply. It must have no circles."""
    below = {node: reachable(edges, node) for node in edges}
    return {node: sorted(t for t in targets
                         if not any(t in below.get(other, ()) for other in targets))
            for node, targets in edges.items()}


def floors(edges):
    """Each node's floor: 0 for those that see nothing, else one above what they see."""
    level = {}

    def visit(node):
        if node not in level:
            level[node] = 1 + max((visit(t) for t in edges.get(node, ())), default=-1)
        return level[node]

    for node in edges:
        visit(node)
    return level
