// Models and runs in bytes, in whichever form they come.

/** A model or a run in bytes, as {@link toBytes} gives them and files hold them. */
export type Bytes = Uint8Array | ArrayBuffer | Blob;

export async function toArray(bytes: Bytes): Promise<Uint8Array> {
  if (bytes instanceof Uint8Array) return bytes;
  return new Uint8Array(bytes instanceof Blob ? await bytes.arrayBuffer() : bytes);
}
