"""Answers an image of 8x8 grey pixels with a net's ten logits, over HTTP on the loopback address.

python examples/serve.py NET [PORT]    # prints the address; any free port where none is given

NET is a file that `wider.save` wrote, of the architecture below. It computes natively.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import BytesIO

import numpy as np
import PIL.Image
import torch
from torch import nn

import wider

SIDE = 8
LARGEST = 2**20  # bytes of an image file
TOO_LARGE, NO_IMAGE = 413, 400


def architecture() -> nn.Module:
    """The dense net whose sparse form is in the file."""
    return wider.models.MLP(64, in_features=SIDE * SIDE, num_classes=10)


class Handler(BaseHTTPRequestHandler):
    """Answers POST requests whose body is an image file."""

    net: nn.Module

    def do_POST(self) -> None:
        """Of any path."""
        length = int(self.headers.get("Content-Length") or 0)
        if length > LARGEST:
            # Read all the same: a client that is still sending would not hear the answer.
            while length > 0 and (part := self.rfile.read(min(length, LARGEST))):
                length -= len(part)
            self.send_error(TOO_LARGE)
            return
        try:
            with PIL.Image.open(BytesIO(self.rfile.read(length))) as image:
                pixels = np.asarray(image.convert("L").resize((SIDE, SIDE)), dtype=np.float32)
        except (OSError, ValueError, PIL.Image.DecompressionBombError):
            self.send_error(NO_IMAGE, "the body is no image")
            return
        with torch.inference_mode():
            (logits,) = self.net(torch.from_numpy(pixels / 255)[None]).tolist()
        content = json.dumps({"logits": logits}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def main(path: str, port: str = "0") -> None:
    """Serves until it is ended."""
    Handler.net = wider.load(path, architecture, native=True).eval()
    with HTTPServer(("127.0.0.1", int(port)), Handler) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)  # noqa: T201
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
