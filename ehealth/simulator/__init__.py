"""A strict stand-in for the eHealth platform and MyCareNet: own process, own keys, own memory.

It shares nothing with the portal but the contracts in ``ehealth/wsdl``. Start it with
``python -m ehealth.simulator --port 0 --data DIR``.
"""
