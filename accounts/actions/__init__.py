"""The only functions of this app that change more than one row, audit, or schedule work."""
