"""The cluster manager: it keeps the books, and everything else asks it.

`ledger` is the one writer; each change is a function over a `draft` (in `instances`, `hosts`,
`catalogue`, `nodes`), committed in groups. `history` keeps numbered events for those who follow,
`dispatch` carries orders to nodes, `monitor` notices silence and lateness, and `service` answers
the calls. No module here knows sockets, files or databases.
"""
