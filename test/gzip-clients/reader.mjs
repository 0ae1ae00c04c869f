// Reads a stream with Node's fetch, which decompresses it, and writes what it gets as it comes.
// Anything but a clean end is an unhandled rejection.
const response = await fetch(process.argv[2]);
if (response.headers.get("content-encoding") !== "gzip") throw new Error("not compressed");
for await (const piece of response.body) process.stdout.write(piece);
