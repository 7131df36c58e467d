"""Facts turned into bytes: simple pages and devpi's JSON. Pure, like `domain`."""
