/** This many, each random. */
export declare function bytes(count: number): Uint8Array
