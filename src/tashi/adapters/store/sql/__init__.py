"""The books in a database: MariaDB, MySQL or SQLite, in tables that an administrator can query.

`tables` says which there are, `rows` how records lie in them, `writing` and `reading` what a commit
and a start do with them; `address`, `connecting` and `faults` know the databases and what they say
when something is wrong; `store` puts them together. Nothing outside this package imports
SQLAlchemy, PyMySQL or sqlite3, and this package is imported only where the books are in a database.
"""
