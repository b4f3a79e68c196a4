/** All that an output of ffmpeg holds, where that is little. */

/** Undefined when it is more than that. It is read to its end all the same: other outputs of the same process go on. */
export async function gather(bytes: AsyncIterable<Uint8Array>, bytesMax: number): Promise<Buffer<ArrayBuffer> | undefined> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const some of bytes) {
    length += some.length;
    if (length <= bytesMax) parts.push(some);
    else parts.length = 0;
  }
  return length <= bytesMax ? Buffer.concat(parts) : undefined;
}
