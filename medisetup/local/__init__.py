"""What runs the portal on one machine: database, broker and children, found, started and ended.

Standard library only (the database is created through psycopg, the catalogues are compiled with polib) and
no Django: `manage.py up`, the tests and the image build work before any setting exists.
"""
