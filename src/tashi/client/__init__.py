"""The command line clients: tables of commands, and the loops that make programs of them.

`commands` and `admin` are the tables, of rows that `command` describes; `arguments`, `syntax` and
`parser` read what was typed, `cluster` asks, `waiting` follows, `sheets`, `tables` and `terminal`
show, and `run` holds it together. What may not enter: settings files and sockets. A program gives
the client a link to the cluster manager.
"""
