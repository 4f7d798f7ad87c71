"""A whole cluster on this machine that runs real VMs: `make demo` and `make demo-cluster`.

Of one host (`one_host`), or of several pretended ones (`many_hosts`, on `machines`). `place` is a
demo's folder, `daemons` its processes, `cluster` what is asked of it, `saying` what people see; the
front door is `__main__`. Everything that a demo makes is in a folder of the checkout, `.demo` or
`.demo-cluster`, but for the pretended machines and the link `etc/Tashi.cfg`, by which the clients
in `bin` find the cluster; a file that is there stays.
"""
