// Numbers of tokens or characters of a text.

/** In memory, as wide as they need to be. */
export type Ids = Uint8Array<ArrayBuffer> | Uint16Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;
