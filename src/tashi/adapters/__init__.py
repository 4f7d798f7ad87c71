"""Everything that touches the world: sockets, files, processes, databases, hypervisors.

One file or package per kind. An adapter fulfils a Protocol of `tashi.ports`, translates its
library's exceptions into `tashi.domain.errors` at its edge, and knows no other adapter; only
`programs` chooses among them.
"""
