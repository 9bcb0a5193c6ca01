"""The client of the eHealth platform and of MyCareNet: values in, values or one typed error out; no Django,
no clock.
"""
