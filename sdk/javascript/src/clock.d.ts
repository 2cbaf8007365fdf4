/** Nanoseconds since 1970; it may be set back. */
export declare function wallNs(): bigint
/** Nanoseconds since some moment; of use are differences. */
export declare function monotonicNs(): bigint
