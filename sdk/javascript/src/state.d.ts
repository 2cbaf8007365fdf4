export type Bytes = string | Uint8Array
export declare function getMany(keys: Iterable<Bytes>): (Uint8Array | undefined)[]
export declare function getTexts(keys: Iterable<Bytes>): (string | undefined)[]
export declare function get(key: Bytes): Uint8Array | undefined
export declare function putMany(pairs: Iterable<readonly [Bytes, Bytes]>, ttlS?: number): void
export declare function put(key: Bytes, value: Bytes, ttlS?: number): void
export declare function deleteMany(keys: Iterable<Bytes>): void
