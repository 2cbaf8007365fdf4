export declare function debug(message: string): void
export declare function info(message: string): void
export declare function warn(message: string): void
export declare function error(message: string): void
