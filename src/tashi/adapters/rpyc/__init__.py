"""Calls between programs over rpyc: one exposed method, `call(request: bytes) -> bytes`.

Any rpyc client can call the server and the client can call any rpyc server, but of rpyc's
protocol only the few messages that this takes are spoken and understood, in rooms that do no I/O:
`plain` (values), `frames` (the stream cut into messages), `protocol` (what a message asks for).
`server` (with `gate` and `channel`) and `peers` (with `line`) carry them over TCP; `loopback`
carries the same bytes within a process.
"""
