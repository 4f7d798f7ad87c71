"""A whole cluster on this machine with one real VM: `make demo`, and `make demo-down` removes it.

`place` is its folder, `daemons` its processes, `cluster` what is asked of it; the front door is
`__main__`. Everything the demo makes is in the folder `.demo` of the checkout, but for the link
`etc/Tashi.cfg`, by which the clients in `bin` find the cluster; a file that is there stays.
"""
