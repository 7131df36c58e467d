"""`python -m stilton_client` is `devpi`."""

from stilton_client.main import main

main()
