"""How fast the server is, as ratios to nginx, uv and sha256sum measured in the same run.

`python -m bench` from the checkout; only loopback is talked to.
"""
