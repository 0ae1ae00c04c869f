"""Reads a stream with the standard library, decompresses it, and writes what it gets as it comes.

Anything but a clean end is an exception.
"""

import http.client
import sys
import urllib.parse
import zlib

url = urllib.parse.urlsplit(sys.argv[1])
connection = http.client.HTTPConnection(url.netloc)
connection.request("GET", url.path, headers={"Accept-Encoding": "gzip"})
response = connection.getresponse()
assert response.getheader("Content-Encoding") == "gzip"
# A gzip header and trailer, which is checked.
decoder = zlib.decompressobj(wbits=31)
while piece := response.read1(65536):
    sys.stdout.buffer.write(decoder.decompress(piece))
    sys.stdout.buffer.flush()
assert decoder.eof and decoder.unused_data == b""
