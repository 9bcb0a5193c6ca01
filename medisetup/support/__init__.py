"""What support reads: the rows behind the pages, without a way to change them.

Lists, search, filters and order are those of Django's admin, shown in the portal's own frame. Off unless
`ADMIN_PATH` names a path. For the portal's own staff past the second factor; numbers are masked, nothing
sealed, hashed or secret is ever shown, each reading is in the journal.
"""
