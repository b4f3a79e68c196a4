/**
 * The same bytes in memory of their own. A short Buffer lies in a slab of 64 KiB that it shares with others, and what came over a connection in the
 * piece that it came in: whoever keeps 32 bytes for long keeps all of that.
 */
export function ownBytes(bytes: Uint8Array): Uint8Array {
  if (bytes.byteLength === bytes.buffer.byteLength) return bytes;
  const own = Buffer.allocUnsafeSlow(bytes.byteLength);
  own.set(bytes);
  return own;
}
