"""Pages for people: each one file of HTML that is whole in itself, to read and to print.

Imported by the commands that write one, and by nothing that runs all day.
"""
