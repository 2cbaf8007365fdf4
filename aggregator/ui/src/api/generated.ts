/* Made from openapi.json by `npm run gen`. Don't edit. */
export interface paths {
    "/api/v1/projects/{p}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A project and how to send to it. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description project */
                    p: number;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ProjectDetail"];
                    };
                };
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/projects/{p}/cardinality": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Metrics with the most series and labels with the most values, 100 each, by whole days; attributes
         *     with the most values, 100 each of spans and of log records, from at most 200,000 items of the
         *     time.
         */
        get: {
            parameters: {
                query?: {
                    /** @description Unix nanoseconds, included. */
                    from?: string;
                    /** @description Unix nanoseconds, excluded. */
                    to?: string;
                };
                header?: never;
                path: {
                    /** @description project */
                    p: number;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Answer_Cardinality"];
                    };
                };
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/projects/{p}/changes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The last 500 changes in a project, the newest first. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description project */
                    p: number;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Change"][];
                    };
                };
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/projects/{p}/edges": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Who calls whom, the busiest first, at most 2000; by whole minutes. */
        get: {
            parameters: {
                query?: {
                    /** @description Unix nanoseconds, included. */
                    from?: string;
                    /** @description Unix nanoseconds, excluded. */
                    to?: string;
                };
                header?: never;
                path: {
                    /** @description project */
                    p: number;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Answer_Vec_Edge"];
                    };
                };
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/projects/{p}/groups": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Groups, at most 500. */
        get: {
            parameters: {
                query?: {
                    /** @description Unix nanoseconds, included; the step that it lies in counts as a whole. */
                    from?: string;
                    /** @description Unix nanoseconds, excluded. */
                    to?: string;
                    /** @description `db:postgresql`, `http:till`, `log:error`; all of a kind with a colon at the end: `log:`. */
                    system?: string;
                    /** @description `service.name`. */
                    service?: string;
                    /** @description `deployment.environment.name`. */
                    environment?: string;
                    /** @description A part of the name. */
                    q?: string;
                    /** @description What comes first: `items` (unless given), `errors`, `duration` or `last_seen`. */
                    order?: components["schemas"]["Order"];
                };
                header?: never;
                path: {
                    /** @description project */
                    p: number;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Answer_Vec_Group"];
                    };
                };
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/projects/{p}/ingest/recent": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Server-sent events: the last fifty arrivals, then each as it comes. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description project */
                    p: number;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "text/event-stream": components["schemas"]["Arrived"];
                    };
                };
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/projects/{p}/keys": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Attribute keys, the most frequent first, at most 100. */
        get: {
            parameters: {
                query: {
                    /** @description `traces`, `logs` or `metrics`. */
                    signal: components["schemas"]["Items"];
                    /** @description A part of the key. */
                    q?: string;
                    /** @description Unix nanoseconds, included. */
                    from?: string;
                    /** @description Unix nanoseconds, excluded. */
                    to?: string;
                };
                header?: never;
                path: {
                    /** @description project */
                    p: number;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Answer_Vec_KeyRow"];
                    };
                };
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/projects/{p}/logs/histogram": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** How many log records, by severity and time. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description project */
                    p: number;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["Chart"];
                };
            };
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Answer_LogChart"];
                    };
                };
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/projects/{p}/logs/search": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Log records, newest first. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description project */
                    p: number;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["Search"];
                };
            };
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Answer_Vec_LogRow"];
                    };
                };
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/projects/{p}/metrics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The metrics of a project. */
        get: {
            parameters: {
                query?: {
                    /** @description Unix nanoseconds, included. */
                    from?: string;
                    /** @description Unix nanoseconds, excluded. */
                    to?: string;
                };
                header?: never;
                path: {
                    /** @description project */
                    p: number;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Answer_Vec_Metric"];
                    };
                };
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/projects/{p}/metrics/query": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** A metric over time. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description project */
                    p: number;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["MetricChart"];
                };
            };
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Answer_MetricLines"];
                    };
                };
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/projects/{p}/services": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Services, the busiest first. */
        get: {
            parameters: {
                query?: {
                    /** @description Unix nanoseconds, included. */
                    from?: string;
                    /** @description Unix nanoseconds, excluded. */
                    to?: string;
                };
                header?: never;
                path: {
                    /** @description project */
                    p: number;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Answer_Vec_Service"];
                    };
                };
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/projects/{p}/spans/search": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Spans, newest first. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description project */
                    p: number;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["Search"];
                };
            };
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Answer_Vec_SpanRow"];
                    };
                };
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/projects/{p}/spans/timeseries": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Rate, errors and durations over time. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description project */
                    p: number;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["Chart"];
                };
            };
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Answer_SpanChart"];
                    };
                };
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/projects/{p}/traces/search": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Traces with a span for which all filters hold, newest first. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description project */
                    p: number;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["Search"];
                };
            };
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Answer_Vec_TraceRow"];
                    };
                };
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/projects/{p}/traces/{id}/logs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The log records of a trace, oldest first. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description project */
                    p: number;
                    /** @description trace id, hex */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Answer_Vec_LogRow"];
                    };
                };
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/projects/{p}/traces/{id}/outline": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The tree of a trace, in columns. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description project */
                    p: number;
                    /** @description trace id, hex */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Answer_Outline"];
                    };
                };
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/projects/{p}/traces/{id}/spans": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Some spans of a trace, with all they have. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description project */
                    p: number;
                    /** @description trace id, hex */
                    id: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["SpanIds"];
                };
            };
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Answer_Vec_Span"];
                    };
                };
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/projects/{p}/values": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Values of a key, the most frequent first, at most 100. */
        get: {
            parameters: {
                query: {
                    /** @description `traces`, `logs` or `metrics`. */
                    signal: components["schemas"]["Items"];
                    /** @description Whose values. */
                    key: string;
                    /** @description A part of the value. */
                    q?: string;
                    /** @description Unix nanoseconds, included. */
                    from?: string;
                    /** @description Unix nanoseconds, excluded. */
                    to?: string;
                };
                header?: never;
                path: {
                    /** @description project */
                    p: number;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Answer_Vec_ValueRow"];
                    };
                };
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/projects/{p}/views": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The views of a project: pinned ones first, then by page and name. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description project */
                    p: number;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["View"][];
                    };
                };
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
            };
        };
        put?: never;
        /** Saves a view. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description project */
                    p: number;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["ViewToSave"];
                };
            };
            responses: {
                201: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["View"];
                    };
                };
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/projects/{p}/views/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /** Makes a view another. */
        put: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description project */
                    p: number;
                    /** @description view */
                    id: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["ViewToSave"];
                };
            };
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["View"];
                    };
                };
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
            };
        };
        post?: never;
        /** Deletes a view. */
        delete: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description project */
                    p: number;
                    /** @description view */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description deleted */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
            };
        };
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/session": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Who is signed in. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Session"];
                    };
                };
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
            };
        };
        put?: never;
        /** Signs in; the answer sets the session cookie. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["Login"];
                };
            };
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Session"];
                    };
                };
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
                429: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
            };
        };
        /** Signs out. */
        delete: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description signed out */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
            };
        };
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/setup": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether a first user is wanted. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Setup"];
                    };
                };
            };
        };
        put?: never;
        /** Creates the first user and signs in. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["FirstUser"];
                };
            };
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Session"];
                    };
                };
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
                429: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/traces/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Where a trace is, among all projects that the user may see. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description trace id, hex */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Answer_Vec_TracePlace"];
                    };
                };
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ErrorBody"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /**
         * @description What a chart shows of a metric.
         * @enum {string}
         */
        Aggregate: "avg" | "sum" | "min" | "max" | "last" | "rate" | "count" | "p50" | "p90" | "p99";
        /** @description The envelope of every answer that reads telemetry. */
        Answer_Cardinality: {
            /** @description Where series come from. */
            data: {
                /** @description Of spans and log records. */
                attributes: components["schemas"]["AttributeValues"][];
                labels: components["schemas"]["LabelValues"][];
                metrics: components["schemas"]["MetricSeries"][];
            };
            meta: components["schemas"]["Meta"];
        };
        /** @description The envelope of every answer that reads telemetry. */
        Answer_LogChart: {
            /** @description How many log records, by severity and time. */
            data: {
                series: components["schemas"]["LogSeries"][];
                /** Format: int64 */
                step_ms: number;
                /** @description Unix milliseconds. */
                times: number[];
            };
            meta: components["schemas"]["Meta"];
        };
        /** @description The envelope of every answer that reads telemetry. */
        Answer_MetricLines: {
            /** @description Lines to draw. */
            data: {
                series: components["schemas"]["MetricLine"][];
                /** Format: int64 */
                step_ms: number;
                /** @description Unix milliseconds. */
                times: number[];
                unit: string;
            };
            meta: components["schemas"]["Meta"];
        };
        /** @description The envelope of every answer that reads telemetry. */
        Answer_Outline: {
            /** @description A trace in columns. */
            data: {
                columns: components["schemas"]["Columns"];
                /** @description Spans shown. */
                count: number;
                /**
                 * Format: int64
                 * @description From there to the last end, nanoseconds.
                 */
                duration: number;
                /** @description What `name` points into. */
                names: string[];
                /** @description What `service` points into. */
                services: string[];
                /** @description Start of the earliest span, Unix nanoseconds. */
                t0: string;
                trace_id: string;
                /** @description There are more spans than are shown. */
                truncated: boolean;
            };
            meta: components["schemas"]["Meta"];
        };
        /** @description The envelope of every answer that reads telemetry. */
        Answer_SpanChart: {
            /** @description Spans over time. Steps without spans have counts of zero and no percentiles. */
            data: {
                count: number[];
                errors: number[];
                /** @description Nanoseconds. */
                p50: (number | null)[];
                /** @description Nanoseconds. */
                p99: (number | null)[];
                /** Format: int64 */
                step_ms: number;
                /** @description Unix milliseconds. */
                times: number[];
            };
            meta: components["schemas"]["Meta"];
        };
        /** @description The envelope of every answer that reads telemetry. */
        Answer_Vec_Edge: {
            data: {
                /** @description A service, `db:postgresql`, `messaging:kafka`, or what the caller calls the other side. */
                callee: string;
                /** @description A service. */
                caller: string;
                /** Format: int64 */
                calls: number;
                client: components["schemas"]["Durations"] | null;
                /**
                 * Format: int64
                 * @description Calls with an error on either side.
                 */
                errors: number;
                server: components["schemas"]["Durations"] | null;
                /** @description `http`, `rpc`, `db`, `messaging`, or empty. */
                via: string;
            }[];
            meta: components["schemas"]["Meta"];
        };
        /** @description The envelope of every answer that reads telemetry. */
        Answer_Vec_Group: {
            data: {
                /** Format: int64 */
                errors: number;
                example: components["schemas"]["Example"] | null;
                /** @description Start of the first step of this time in which it was seen, Unix nanoseconds. */
                first_seen: string;
                /** @description 16 hexadecimal digits, the same in every project, at every time. */
                id: string;
                /** Format: int64 */
                items: number;
                /** @description Start of the last one, Unix nanoseconds. */
                last_seen: string;
                /**
                 * Format: int64
                 * @description Nanoseconds, of the longest item.
                 */
                longest: number;
                /** @description The operation, statement, template or exception, values taken out. */
                name: string;
                /**
                 * Format: double
                 * @description Nanoseconds; null for what has no duration.
                 */
                p50: number | null;
                /**
                 * Format: double
                 * @description Nanoseconds; null for what has no duration.
                 */
                p99: number | null;
                /** @description At most ten. */
                services: string[];
                system: string;
            }[];
            meta: components["schemas"]["Meta"];
        };
        /** @description The envelope of every answer that reads telemetry. */
        Answer_Vec_KeyRow: {
            data: {
                /** Format: int64 */
                count: number;
                key: string;
            }[];
            meta: components["schemas"]["Meta"];
        };
        /** @description The envelope of every answer that reads telemetry. */
        Answer_Vec_LogRow: {
            data: {
                attributes: {
                    [key: string]: string;
                };
                /** @description Text, or JSON where it was structured. */
                body: string;
                resource: {
                    [key: string]: string;
                };
                service: string;
                /**
                 * Format: int32
                 * @description OpenTelemetry's number, 0 for none.
                 */
                severity_number: number;
                severity_text: string;
                /** @description Empty for none. */
                span_id: string;
                /** @description Unix nanoseconds. */
                time: string;
                /** @description Empty for none. */
                trace_id: string;
            }[];
            meta: components["schemas"]["Meta"];
        };
        /** @description The envelope of every answer that reads telemetry. */
        Answer_Vec_Metric: {
            data: {
                description: string;
                /** @description Unix nanoseconds. */
                last_seen: string;
                name: string;
                /**
                 * Format: int64
                 * @description How many.
                 */
                series: number;
                /** @description `gauge`, `sum`, `histogram`, `exponential_histogram`, `summary`. */
                type: string;
                /** @description UCUM. */
                unit: string;
            }[];
            meta: components["schemas"]["Meta"];
        };
        /** @description The envelope of every answer that reads telemetry. */
        Answer_Vec_Service: {
            data: {
                /** Format: int64 */
                errors: number;
                /**
                 * Format: double
                 * @description Nanoseconds.
                 */
                p50: number;
                /**
                 * Format: double
                 * @description Nanoseconds.
                 */
                p95: number;
                /**
                 * Format: double
                 * @description Nanoseconds.
                 */
                p99: number;
                service: string;
                /** Format: int64 */
                spans: number;
            }[];
            meta: components["schemas"]["Meta"];
        };
        /** @description The envelope of every answer that reads telemetry. */
        Answer_Vec_Span: {
            data: (components["schemas"]["SpanRow"] & {
                attributes: {
                    [key: string]: string;
                };
                events: components["schemas"]["SpanEvent"][];
                links: components["schemas"]["SpanLink"][];
                resource: {
                    [key: string]: string;
                };
                scope: components["schemas"]["SpanScope"];
                status_message: string;
            })[];
            meta: components["schemas"]["Meta"];
        };
        /** @description The envelope of every answer that reads telemetry. */
        Answer_Vec_SpanRow: {
            data: {
                /** @description Nanoseconds. */
                duration: string;
                /** @description `unspecified`, `internal`, `server`, `client`, `producer`, `consumer`. */
                kind: string;
                name: string;
                /** @description Empty for a root. */
                parent_id: string;
                service: string;
                span_id: string;
                /** @description Unix nanoseconds. */
                start: string;
                /** @description `unset`, `ok`, `error`. */
                status: string;
                trace_id: string;
            }[];
            meta: components["schemas"]["Meta"];
        };
        /** @description The envelope of every answer that reads telemetry. */
        Answer_Vec_TracePlace: {
            data: {
                /** @description Unix nanoseconds. */
                end: string;
                /** Format: int32 */
                project_id: number;
                project_name: string;
                /** Format: int64 */
                spans: number;
                /** @description Unix nanoseconds. */
                start: string;
            }[];
            meta: components["schemas"]["Meta"];
        };
        /** @description The envelope of every answer that reads telemetry. */
        Answer_Vec_TraceRow: {
            data: {
                /** @description From the first start to the last end, nanoseconds. */
                duration: string;
                /** Format: int64 */
                errors: number;
                root_name: string;
                /** @description Of the root span, or of the earliest when the root is not here. */
                root_service: string;
                services: string[];
                /** Format: int64 */
                spans: number;
                /** @description Unix nanoseconds. */
                start: string;
                /** @description `error` when any span has an error, else the root's. */
                status: string;
                trace_id: string;
            }[];
            meta: components["schemas"]["Meta"];
        };
        /** @description The envelope of every answer that reads telemetry. */
        Answer_Vec_ValueRow: {
            data: {
                /** Format: int64 */
                count: number;
                value: string;
            }[];
            meta: components["schemas"]["Meta"];
        };
        /** @description One request at the door. */
        Arrived: {
            /** @description Unix nanoseconds. */
            at: string;
            /** Format: int64 */
            items: number;
            /** @description `accepted` or `refused`. */
            outcome: string;
            /** @description Why it was refused. */
            reason: string | null;
            /** @description `service.name` of the first resource. */
            service: string | null;
            /** @description `traces`, `logs` or `metrics`. */
            signal: string;
            /** @description `http` or `grpc`. */
            transport: string;
            via_agent: boolean;
        };
        /** @description An attribute of spans or log records and how many values it has, about. */
        AttributeValues: {
            /**
             * Format: int64
             * @description Items that have it, of those that were looked at.
             */
            items: number;
            key: string;
            signal: components["schemas"]["Items"];
            /** Format: int64 */
            values: number;
        };
        BTreeMap: {
            [key: string]: string;
        };
        /** @description Where series come from. */
        Cardinality: {
            /** @description Of spans and log records. */
            attributes: components["schemas"]["AttributeValues"][];
            labels: components["schemas"]["LabelValues"][];
            metrics: components["schemas"]["MetricSeries"][];
        };
        /** @description Who changed what. */
        Change: {
            /** @description `created`, `changed`, `deleted`. */
            action: string;
            /** @description An e-mail address, or the command line of some system user. */
            actor: string;
            /** @description Unix nanoseconds. */
            at: string;
            /** @description What kind of thing: `saved view`, `dashboard`, `monitors`, `limits`. */
            object: string;
            /** @description Its name, or what it has become. */
            subject: string;
        };
        /** @description A chart's question. */
        Chart: {
            /**
             * Format: int64
             * @description Length of a step; chosen by the time when absent.
             */
            step_ms?: number | null;
            /** @description Logs: every word of it is in the body. */
            text?: string | null;
            time: components["schemas"]["Time"];
            /** @description All of these must hold. */
            where?: components["schemas"]["Filter"][];
        };
        /** @description One entry per span, depth-first, siblings by start. */
        Columns: {
            depth: number[];
            /** @description Nanoseconds. */
            dur: number[];
            /** @description 1 error, 2 orphan, 4 has logs, 8 has links, 16 critical, 32 has events. */
            flags: number[];
            kind: string[];
            name: number[];
            /** @description Row of the parent, -1 for a root. */
            parent: number[];
            /** @description Nanoseconds during which no child ran. */
            self: number[];
            service: number[];
            span_id: string[];
            /** @description Nanoseconds after `t0`. */
            start: number[];
            /** @description Rows of the subtree, the span included. */
            subtree: number[];
        };
        /** @description How long calls took. */
        Durations: {
            /**
             * Format: double
             * @description Nanoseconds.
             */
            p50: number;
            /**
             * Format: double
             * @description Nanoseconds.
             */
            p99: number;
        };
        /** @description Calls from one to another. */
        Edge: {
            /** @description A service, `db:postgresql`, `messaging:kafka`, or what the caller calls the other side. */
            callee: string;
            /** @description A service. */
            caller: string;
            /** Format: int64 */
            calls: number;
            client: components["schemas"]["Durations"] | null;
            /**
             * Format: int64
             * @description Calls with an error on either side.
             */
            errors: number;
            server: components["schemas"]["Durations"] | null;
            /** @description `http`, `rpc`, `db`, `messaging`, or empty. */
            via: string;
        };
        /** @description The body of every error. */
        ErrorBody: {
            /** @description What went wrong. */
            error: components["schemas"]["ErrorDetail"];
        };
        /** @description What went wrong. */
        ErrorDetail: {
            /** @description Stable, for programs. */
            code: string;
            /** @description What to do about it. */
            hint: string | null;
            /** @description For people. */
            message: string;
        };
        /** @description Where an example is. */
        Example: {
            /** @description Empty where none is known. */
            span_id: string;
            trace_id: string;
        };
        /** @description One condition; several must hold together. */
        Filter: {
            /**
             * @description An attribute key, or one of `service.name`, `name`, `duration` (nanoseconds, or a text
             *     such as `100ms`), `status`, `kind`, `severity`, `body`, `trace_id`, `span_id`.
             */
            key: string;
            /** @description How to compare. */
            op: components["schemas"]["Op"];
            /** @description With what; not for `exists` and `missing`. */
            value?: unknown;
        };
        /** @description The first user. */
        FirstUser: {
            email: string;
            name?: string | null;
            /** @description 12 to 128 characters. */
            password: string;
            /** @description From the server's log; works once. */
            token: string;
        };
        /** @description A group. */
        Group: {
            /** Format: int64 */
            errors: number;
            example: components["schemas"]["Example"] | null;
            /** @description Start of the first step of this time in which it was seen, Unix nanoseconds. */
            first_seen: string;
            /** @description 16 hexadecimal digits, the same in every project, at every time. */
            id: string;
            /** Format: int64 */
            items: number;
            /** @description Start of the last one, Unix nanoseconds. */
            last_seen: string;
            /**
             * Format: int64
             * @description Nanoseconds, of the longest item.
             */
            longest: number;
            /** @description The operation, statement, template or exception, values taken out. */
            name: string;
            /**
             * Format: double
             * @description Nanoseconds; null for what has no duration.
             */
            p50: number | null;
            /**
             * Format: double
             * @description Nanoseconds; null for what has no duration.
             */
            p99: number | null;
            /** @description At most ten. */
            services: string[];
            system: string;
        };
        /**
         * @description Whose keys.
         * @enum {string}
         */
        Items: "traces" | "logs" | "metrics";
        /** @description A key and how many items have it. */
        KeyRow: {
            /** Format: int64 */
            count: number;
            key: string;
        };
        /** @description A label of a metric and how many values it has, about. */
        LabelValues: {
            key: string;
            metric: string;
            /** Format: int64 */
            values: number;
        };
        /** @description How many log records, by severity and time. */
        LogChart: {
            series: components["schemas"]["LogSeries"][];
            /** Format: int64 */
            step_ms: number;
            /** @description Unix milliseconds. */
            times: number[];
        };
        /** @description A log record. */
        LogRow: {
            attributes: {
                [key: string]: string;
            };
            /** @description Text, or JSON where it was structured. */
            body: string;
            resource: {
                [key: string]: string;
            };
            service: string;
            /**
             * Format: int32
             * @description OpenTelemetry's number, 0 for none.
             */
            severity_number: number;
            severity_text: string;
            /** @description Empty for none. */
            span_id: string;
            /** @description Unix nanoseconds. */
            time: string;
            /** @description Empty for none. */
            trace_id: string;
        };
        LogSeries: {
            counts: number[];
            /** @description `TRACE` to `FATAL`, or what senders wrote without a number; `UNSET` for neither. */
            severity: string;
        };
        /** @description Address and password. */
        Login: {
            email: string;
            password: string;
        };
        /** @description What an answer cost, and whether it is all there is. */
        Meta: {
            /**
             * Format: int64
             * @description Bytes that the store read, zero where it does not say.
             */
            bytes_read: number;
            /** Format: int64 */
            elapsed_ms: number;
            /** @description `page` of the next request; null at the end. */
            next: string | null;
            /** @description Why this is not all; null when it is. */
            partial: string | null;
            /**
             * Format: int64
             * @description Rows that the store read, zero where it does not say.
             */
            rows_read: number;
            /**
             * @description Where the numbers come from, if there is a choice: the items themselves (`spans`), or what
             *     was counted of groups by `minutes`, `five_minutes` or `hours`. Steps count as wholes.
             */
            source?: string;
        };
        /** @description A metric in the list. */
        Metric: {
            description: string;
            /** @description Unix nanoseconds. */
            last_seen: string;
            name: string;
            /**
             * Format: int64
             * @description How many.
             */
            series: number;
            /** @description `gauge`, `sum`, `histogram`, `exponential_histogram`, `summary`. */
            type: string;
            /** @description UCUM. */
            unit: string;
        };
        /** @description What to draw. */
        MetricChart: {
            aggregate: components["schemas"]["Aggregate"];
            /** @description Attribute keys; each combination of their values is a line. */
            group_by?: string[];
            /** @description Its name. */
            metric: string;
            /**
             * Format: int64
             * @description Length of a step; chosen by the time when absent.
             */
            step_ms?: number | null;
            time: components["schemas"]["Time"];
            /** @description All of these must hold. */
            where?: components["schemas"]["Filter"][];
        };
        MetricLine: {
            labels: components["schemas"]["BTreeMap"];
            /** @description Null where there is nothing to show. */
            values: (number | null)[];
        };
        /** @description Lines to draw. */
        MetricLines: {
            series: components["schemas"]["MetricLine"][];
            /** Format: int64 */
            step_ms: number;
            /** @description Unix milliseconds. */
            times: number[];
            unit: string;
        };
        /** @description A metric and how many series it has. */
        MetricSeries: {
            metric: string;
            /** Format: int64 */
            series: number;
        };
        /**
         * @description How a filter compares.
         * @enum {string}
         */
        Op: "=" | "!=" | ">" | ">=" | "<" | "<=" | "contains" | "exists" | "missing";
        /**
         * @description What comes first.
         * @enum {string}
         */
        Order: "items" | "errors" | "duration" | "last_seen";
        /** @description A trace in columns. */
        Outline: {
            columns: components["schemas"]["Columns"];
            /** @description Spans shown. */
            count: number;
            /**
             * Format: int64
             * @description From there to the last end, nanoseconds.
             */
            duration: number;
            /** @description What `name` points into. */
            names: string[];
            /** @description What `service` points into. */
            services: string[];
            /** @description Start of the earliest span, Unix nanoseconds. */
            t0: string;
            trace_id: string;
            /** @description There are more spans than are shown. */
            truncated: boolean;
        };
        /**
         * @description A page of the UI.
         * @enum {string}
         */
        Page: "traces" | "logs" | "metrics" | "services" | "errors" | "map";
        /** @description A project and how to send to it. */
        ProjectDetail: {
            /**
             * @description `http://TOKEN@host:14318?grpc=14317`; null when the configuration names no token for it
             *     (other tokens are stored as hashes and cannot be shown).
             */
            dsn: string | null;
            /** @description OTLP/gRPC. */
            grpc_endpoint: string;
            /** @description OTLP/HTTP, without a path. */
            http_endpoint: string;
            /** Format: int32 */
            id: number;
            name: string;
            /** @description Attributes that are listed first. */
            pinned_attrs: string[];
        };
        /** @description A list's question. */
        Search: {
            /** @description Rows of a page: 1 to 500, 100 when absent. */
            limit?: number | null;
            /** @description `meta.next` of the page before. */
            page?: string | null;
            /** @description Logs: every word of it is in the body. */
            text?: string | null;
            time: components["schemas"]["Time"];
            /** @description All of these must hold. */
            where?: components["schemas"]["Filter"][];
        };
        /** @description A service, by its spans. */
        Service: {
            /** Format: int64 */
            errors: number;
            /**
             * Format: double
             * @description Nanoseconds.
             */
            p50: number;
            /**
             * Format: double
             * @description Nanoseconds.
             */
            p95: number;
            /**
             * Format: double
             * @description Nanoseconds.
             */
            p99: number;
            service: string;
            /** Format: int64 */
            spans: number;
        };
        /** @description Who is signed in, and what they may see. */
        Session: {
            projects: components["schemas"]["SessionProject"][];
            user: components["schemas"]["SessionUser"];
        };
        SessionProject: {
            /** Format: int32 */
            id: number;
            name: string;
        };
        SessionUser: {
            email: string;
            id: string;
            name: string;
        };
        /** @description Whether anybody can sign in yet. */
        Setup: {
            /** @description There is no user; the setup token in the server's log makes the first. */
            needed: boolean;
        };
        /** @description A span with all it has. */
        Span: components["schemas"]["SpanRow"] & {
            attributes: {
                [key: string]: string;
            };
            events: components["schemas"]["SpanEvent"][];
            links: components["schemas"]["SpanLink"][];
            resource: {
                [key: string]: string;
            };
            scope: components["schemas"]["SpanScope"];
            status_message: string;
        };
        /** @description Spans over time. Steps without spans have counts of zero and no percentiles. */
        SpanChart: {
            count: number[];
            errors: number[];
            /** @description Nanoseconds. */
            p50: (number | null)[];
            /** @description Nanoseconds. */
            p99: (number | null)[];
            /** Format: int64 */
            step_ms: number;
            /** @description Unix milliseconds. */
            times: number[];
        };
        SpanEvent: {
            attributes: {
                [key: string]: string;
            };
            name: string;
            /** @description Unix nanoseconds. */
            time: string;
        };
        /** @description Which spans. */
        SpanIds: {
            /** @description At most 500, hex. */
            span_ids: string[];
        };
        SpanLink: {
            attributes: {
                [key: string]: string;
            };
            span_id: string;
            trace_id: string;
        };
        /** @description A span in a list. */
        SpanRow: {
            /** @description Nanoseconds. */
            duration: string;
            /** @description `unspecified`, `internal`, `server`, `client`, `producer`, `consumer`. */
            kind: string;
            name: string;
            /** @description Empty for a root. */
            parent_id: string;
            service: string;
            span_id: string;
            /** @description Unix nanoseconds. */
            start: string;
            /** @description `unset`, `ok`, `error`. */
            status: string;
            trace_id: string;
        };
        SpanScope: {
            name: string;
            version: string;
        };
        /** @description From (included) to (excluded). */
        Time: {
            /** @description Unix nanoseconds. */
            from: string;
            /** @description Unix nanoseconds. */
            to: string;
        };
        /** @description A project in which a trace is. */
        TracePlace: {
            /** @description Unix nanoseconds. */
            end: string;
            /** Format: int32 */
            project_id: number;
            project_name: string;
            /** Format: int64 */
            spans: number;
            /** @description Unix nanoseconds. */
            start: string;
        };
        /** @description A trace in a list. */
        TraceRow: {
            /** @description From the first start to the last end, nanoseconds. */
            duration: string;
            /** Format: int64 */
            errors: number;
            root_name: string;
            /** @description Of the root span, or of the earliest when the root is not here. */
            root_service: string;
            services: string[];
            /** Format: int64 */
            spans: number;
            /** @description Unix nanoseconds. */
            start: string;
            /** @description `error` when any span has an error, else the root's. */
            status: string;
            trace_id: string;
        };
        /** @description A value and how many items have it. */
        ValueRow: {
            /** Format: int64 */
            count: number;
            value: string;
        };
        /** @description A view that is there. */
        View: {
            /** @description Unix nanoseconds. */
            changed_at: string;
            id: string;
            name: string;
            page: components["schemas"]["Page"];
            pinned: boolean;
            /** @description What stands behind the `?` of the page's address. */
            query: string;
        };
        /** @description A view to save. */
        ViewToSave: {
            /** @description Unique on its page; 1 to 100 characters. */
            name: string;
            page: components["schemas"]["Page"];
            /** @description Listed first. */
            pinned?: boolean;
            /** @description What stands behind the `?` of the page's address; at most 8 KiB. */
            query: string;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export type operations = Record<string, never>;
