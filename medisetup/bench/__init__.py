"""What `manage.py bench` measures: each group brings its floor, and no case is timed before it is proved."""
