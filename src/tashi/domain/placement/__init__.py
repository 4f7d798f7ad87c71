"""Which host an instance should go to, as pure functions over the books.

`filters` says for one host and one instance every rule that forbids it, with numbers; the cluster
manager asks the same question again before it books a proposal. `affinity` is who wants to be near
whom. `ranking` orders the hosts, `turns` the instances; a `draft` searches a host for one instance,
`plan` for all that wait, and `drain` for all that leave hosts which are to be emptied.
"""
