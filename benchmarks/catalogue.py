"""Writes what `wider experiments` says: names, scales and costs, which take a while to compute.

python -m benchmarks.catalogue
"""

import json
from dataclasses import asdict

from wider.catalogue import FILE
from wider.study import EXPERIMENTS, as_listed

if __name__ == "__main__":
    listed = {
        name: {"title": listed.title, "scales": list(map(asdict, listed.scales.values()))}
        for name, listed in ((name, as_listed(each)) for name, each in EXPERIMENTS.items())
    }
    text = json.dumps(listed, indent=1, ensure_ascii=False)
    FILE.write_text(f"{text}\n", encoding="utf-8", newline="\n")
