"""What travels between Tashi's programs: the forms of records, the rows of methods, the codec.

Only this package knows both spellings of a name: snake_case in Python, Tashi's camelCase on the
wire. It knows nothing of sockets; bytes come in and bytes go out.
"""
