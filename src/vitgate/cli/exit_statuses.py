"""What the exit statuses of the commands that end in a verdict say; the epilog of their help."""

EXIT_STATUSES = """\b
Exit status:
  0  may upgrade: every claim holds as before, or what breaks is accepted
  1  do not upgrade: something regressed, or an acceptance expired or covers nothing
  4  usage: an option, a record or an accept file is wrong
  6  the environment stood in the way: in a run that was recorded, or of writing a file
  130, 143  interrupted by Ctrl-C, ended by SIGTERM
"""
