"""What Python programs call: ``analyze``, ``replay``, ``watch`` and the values they return.

``ferstream`` itself has all public names. Modules here import numpy, networks and decoders inside of functions, so that
``from ferstream import analyze`` stays light.
"""
