"""Pages of the accounts: invitation, account section, passwords, access, keys."""
