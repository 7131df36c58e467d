"""Write the golden files anew."""

from tests.golden.cases import CASES, FOLDER

FOLDER.mkdir(exist_ok=True)
for name, render in CASES.items():
    (FOLDER / name).write_bytes(render())
