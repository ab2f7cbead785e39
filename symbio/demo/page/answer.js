// What the server says of a picture: asked for, and taken apart (symbio/demo/answer.py).

/** Ask `place` about a picture (a Blob); the response, or an Error in the server's own words. */
export async function ask(place, picture, signal) {
  let response;
  try {
    response = await fetch(place, {
      method: "POST",
      headers: { "Content-Type": picture.type || "application/octet-stream" },
      body: picture,
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer. Is `symbio demo` still running?");
  }
  if (response.ok) return response;
  let told = `the server answered ${response.status}`;
  try {
    told = (await response.json()).error ?? told;
  } catch {
    // No JSON: the status has to do.
  }
  throw new Error(told);
}

/** The header's values, and depth (Float32Array, metres), classes (Uint8Array or null) and RGB. */
export function unpacked(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const pixels = header.width * header.height;
  let place = 4 + length;
  const depth = new Float32Array(buffer, place, pixels);
  place += 4 * pixels;
  const classes = header.has_classes ? new Uint8Array(buffer, place, pixels) : null;
  place += header.has_classes ? pixels : 0;
  return { ...header, depth, classes, rgb: new Uint8Array(buffer, place, 3 * pixels) };
}
