"""The edge: route tables, the pipeline that serves them, the stream, and the server around it.

The only package that knows HTTP. Reading ``device.py``, ``operator.py`` and ``admin.py`` is reading
the product.
"""
