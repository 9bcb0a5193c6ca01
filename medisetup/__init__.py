"""The project: settings, routes, home, readiness. Nothing imports it but the servers and the templates."""
