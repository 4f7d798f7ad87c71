"""Settings: what an admin may say in configuration files, declared once and read strictly.

A section is a frozen record (`declare`, `sections`) whose every field names its key, its kind, its
default and its words; from that one place come the reader (`search`, `layers`, `load`), the
generated `etc/TashiDefaults.cfg` and `doc/settings.md` (`pages`) and `--show-settings` (`show`).
Values are read by small parsers (`kinds`, `literals`) and never evaluated. Only `programs` calls
the loader; everybody else is given a section.
"""
