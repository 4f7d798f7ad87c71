"""The answers to every call that the cluster manager takes, by the name of its method.

A handler gets the caller, the request's id and the arguments as the method's row declares them. It
returns a form, or a future of one when the answer has to become durable first; no handler waits for
the ledger. Changes are functions over a draft in the rooms beside this package.
"""
