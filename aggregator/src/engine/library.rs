//! The C interface of the engine's library: connections, statements, results.
//!
//! The library keeps one storage directory per process. Statements on one connection run one after
//! the other, and a connection costs 0.2 ms, so every request has its own and leaves no settings
//! behind.

use std::ffi::{CStr, CString, c_char, c_int};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;

use super::AccessError;

/// The engine cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// There is no library.
    #[error("the engine's library is not there; looked at {}", list(.0))]
    NoLibrary(Vec<PathBuf>),
    /// The library cannot be loaded, or is not what it should be.
    #[error("cannot load {path}")]
    Load {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: libloading::Error,
    },
    /// The library refuses the directory.
    #[error("the engine cannot open {dir}; is it in use by another process?")]
    Open {
        /// Which directory.
        dir: PathBuf,
    },
    /// Where to listen and whom to admit is not known.
    #[error(transparent)]
    Access(AccessError),
    /// The process that started it has gone.
    #[error("the engine was not started by an aggregator that runs")]
    Orphan,
    /// The operating system said no.
    #[error("the engine cannot {doing}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// Why not.
        source: std::io::Error,
    },
}

fn list(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    paths.join(", ")
}

/// How the engine compresses what merges leave in columns whose codec is `Default`. What inserts
/// leave, which has no size yet, is in LZ4.
pub(crate) const MERGED_CODEC: &str = "ZSTD(1)";

/// Finds the library: what was configured, else beside the binary, as built, as packaged.
pub fn find(configured: Option<&Path>) -> Result<PathBuf, EngineError> {
    const NAME: &str = "libchdb.so";
    let beside = std::env::current_exe()
        .ok()
        .and_then(|exe| Some(exe.parent()?.join(NAME)));
    let places: Vec<PathBuf> = match configured {
        Some(path) => vec![path.to_owned()],
        None => beside
            .into_iter()
            .chain([
                Path::new("target/engine").join(NAME),
                Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join("../target/engine")
                    .join(NAME),
                Path::new("/usr/lib/petrel").join(NAME),
            ])
            .collect(),
    };
    match places.iter().find(|path| path.is_file()) {
        // The child may run elsewhere.
        Some(path) => path
            .canonicalize()
            .map_err(|_| EngineError::NoLibrary(places.clone())),
        None => Err(EngineError::NoLibrary(places)),
    }
}

/// An open connection, as C sees it: a pointer to a pointer that queries want.
#[repr(C)]
struct RawConnection {
    _private: [u8; 0],
}

#[repr(C)]
struct RawResult {
    _private: [u8; 0],
}

type Handle = *mut RawConnection;
type Lengths = *const usize;
type Texts = *const *const c_char;

type ConnectFn = unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut Handle;
type CloseFn = unsafe extern "C" fn(*mut Handle);
type QueryFn = unsafe extern "C" fn(
    Handle,
    *const c_char,
    usize,
    *const c_char,
    usize,
    Texts,
    Lengths,
    Texts,
    Lengths,
    usize,
) -> *mut RawResult;
type TextOf = unsafe extern "C" fn(*mut RawResult) -> *const c_char;
type SizeOf = unsafe extern "C" fn(*mut RawResult) -> usize;
type NumberOf = unsafe extern "C" fn(*mut RawResult) -> u64;
type SecondsOf = unsafe extern "C" fn(*mut RawResult) -> f64;
type DestroyFn = unsafe extern "C" fn(*mut RawResult);
type SignalsFn = unsafe extern "C" fn(c_int);

struct Functions {
    connect: ConnectFn,
    close: CloseFn,
    query: QueryFn,
    buffer: TextOf,
    length: SizeOf,
    error: TextOf,
    elapsed: SecondsOf,
    rows_read: NumberOf,
    bytes_read: NumberOf,
    rows_written: NumberOf,
    bytes_written: NumberOf,
    destroy: DestroyFn,
}

/// The loaded library. Never unloaded: it has threads of its own.
#[derive(Clone, Copy)]
pub(super) struct Library(&'static Functions);

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Library")
    }
}

/// What a statement gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Output {
    pub(super) body: Vec<u8>,
    pub(super) rows_read: u64,
    pub(super) bytes_read: u64,
    pub(super) rows_written: u64,
    pub(super) bytes_written: u64,
    pub(super) elapsed_seconds: f64,
}

impl Library {
    /// Loads the library.
    pub(super) fn open(path: &Path) -> Result<Self, EngineError> {
        let failed = |source| EngineError::Load {
            path: path.to_owned(),
            source,
        };
        #[expect(
            unsafe_code,
            reason = "loading runs the library's initialisers; the file is the one that the \
                      operator named or that we fetched by its hash. The signatures are those of \
                      chdb.h"
        )]
        let functions = unsafe {
            let library = Box::leak(Box::new(libloading::Library::new(path).map_err(failed)?));
            let signals = library
                .get::<SignalsFn>(b"chdb_set_signal_handlers_enabled")
                .map_err(failed)?;
            // Signals are for the runtime, which drains and closes.
            signals(0);
            Functions {
                connect: *library.get(b"chdb_connect").map_err(failed)?,
                close: *library.get(b"chdb_close_conn").map_err(failed)?,
                query: *library.get(b"chdb_query_with_params_n").map_err(failed)?,
                buffer: *library.get(b"chdb_result_buffer").map_err(failed)?,
                length: *library.get(b"chdb_result_length").map_err(failed)?,
                error: *library.get(b"chdb_result_error").map_err(failed)?,
                elapsed: *library.get(b"chdb_result_elapsed").map_err(failed)?,
                rows_read: *library
                    .get(b"chdb_result_storage_rows_read")
                    .map_err(failed)?,
                bytes_read: *library
                    .get(b"chdb_result_storage_bytes_read")
                    .map_err(failed)?,
                rows_written: *library.get(b"chdb_result_rows_written").map_err(failed)?,
                bytes_written: *library.get(b"chdb_result_bytes_written").map_err(failed)?,
                destroy: *library.get(b"chdb_destroy_query_result").map_err(failed)?,
            }
        };
        Ok(Self(Box::leak(Box::new(functions))))
    }

    /// The first connection: starts the engine on `dir`. The engine runs as long as it is held.
    pub(super) fn boot(self, dir: &Path) -> Result<Connection, EngineError> {
        let system = |doing| move |source| EngineError::System { doing, source };
        std::fs::create_dir_all(dir).map_err(system("create its directory"))?;
        let config = dir.join("config.xml");
        std::fs::write(&config, CONFIG).map_err(system("write its configuration"))?;
        self.connect(&[
            format!("--config-file={}", config.display()),
            format!("--path={}", dir.display()),
        ])
        .ok_or_else(|| EngineError::Open {
            dir: dir.to_owned(),
        })
    }

    /// One more connection to the engine that runs.
    pub(super) fn join(self, dir: &Path) -> Option<Connection> {
        self.connect(&[format!("--path={}", dir.display())])
    }

    fn connect(self, arguments: &[String]) -> Option<Connection> {
        let arguments: Vec<CString> = std::iter::once("clickhouse")
            .chain(arguments.iter().map(String::as_str))
            .map(CString::new)
            .collect::<Result<_, _>>()
            .ok()?;
        let mut pointers: Vec<*mut c_char> = arguments
            .iter()
            .map(|text| text.as_ptr().cast_mut())
            .collect();
        let count = c_int::try_from(pointers.len()).ok()?;
        #[expect(
            unsafe_code,
            reason = "count and pointers are those of live, terminated strings"
        )]
        let raw = unsafe { (self.0.connect)(count, pointers.as_mut_ptr()) };
        NonNull::new(raw).map(|raw| Connection {
            functions: self.0,
            raw,
        })
    }
}

/// One session: its settings last as long as it does.
pub(super) struct Connection {
    functions: &'static Functions,
    raw: NonNull<Handle>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connection")
    }
}

impl Connection {
    /// Runs one statement and gives its output in `format`, or the engine's words.
    pub(super) fn query(
        &mut self,
        sql: &str,
        format: &str,
        parameters: &[(String, String)],
    ) -> Result<Output, String> {
        let texts = |of: fn(&(String, String)) -> &String| {
            parameters
                .iter()
                .map(|pair| of(pair).as_ptr().cast::<c_char>())
                .collect::<Vec<_>>()
        };
        let lengths = |of: fn(&(String, String)) -> &String| {
            parameters
                .iter()
                .map(|pair| of(pair).len())
                .collect::<Vec<_>>()
        };
        let (names, name_lengths) = (texts(|pair| &pair.0), lengths(|pair| &pair.0));
        let (values, value_lengths) = (texts(|pair| &pair.1), lengths(|pair| &pair.1));
        let functions = self.functions;
        #[expect(
            unsafe_code,
            reason = "every pointer goes with its length and outlives the call; `&mut self` keeps \
                      statements of one connection apart; the result is copied before it is freed"
        )]
        unsafe {
            let result = (functions.query)(
                *self.raw.as_ptr(),
                sql.as_ptr().cast(),
                sql.len(),
                format.as_ptr().cast(),
                format.len(),
                names.as_ptr(),
                name_lengths.as_ptr(),
                values.as_ptr(),
                value_lengths.as_ptr(),
                parameters.len(),
            );
            if result.is_null() {
                return Err("Code: 1001. DB::Exception: the engine gave no answer".to_owned());
            }
            let error = (functions.error)(result);
            let output = if error.is_null() {
                let (buffer, length) = ((functions.buffer)(result), (functions.length)(result));
                let body = if buffer.is_null() || length == 0 {
                    Vec::new()
                } else {
                    std::slice::from_raw_parts(buffer.cast::<u8>(), length).to_vec()
                };
                Ok(Output {
                    body,
                    rows_read: (functions.rows_read)(result),
                    bytes_read: (functions.bytes_read)(result),
                    rows_written: (functions.rows_written)(result),
                    bytes_written: (functions.bytes_written)(result),
                    elapsed_seconds: (functions.elapsed)(result),
                })
            } else {
                Err(CStr::from_ptr(error).to_string_lossy().into_owned())
            };
            (functions.destroy)(result);
            output
        }
    }
}

impl Drop for Connection {
    #[expect(
        unsafe_code,
        reason = "the pointer came from `connect` and is closed once"
    )]
    fn drop(&mut self) {
        unsafe { (self.functions.close)(self.raw.as_ptr()) }
    }
}

#[expect(
    unsafe_code,
    reason = "a connection may be used from any thread, by one at a time"
)]
unsafe impl Send for Connection {}

/// Small pools and caches: on the machine of an aggregator the engine is a guest. What inserts leave
/// is merged soon, so only what merges leave is compressed well, [`MERGED_CODEC`]: that is a sixth
/// of an insert.
const CONFIG: &str = "<clickhouse>
    <compression>
        <case>
            <min_part_size>1</min_part_size>
            <min_part_size_ratio>0</min_part_size_ratio>
            <method>zstd</method>
            <level>1</level>
        </case>
    </compression>
    <background_pool_size>2</background_pool_size>
    <background_common_pool_size>2</background_common_pool_size>
    <background_move_pool_size>1</background_move_pool_size>
    <background_fetches_pool_size>1</background_fetches_pool_size>
    <mark_cache_size>67108864</mark_cache_size>
    <index_mark_cache_size>16777216</index_mark_cache_size>
    <uncompressed_cache_size>0</uncompressed_cache_size>
    <mmap_cache_size>100</mmap_cache_size>
    <compiled_expression_cache_size>8388608</compiled_expression_cache_size>
    <max_server_memory_usage_to_ram_ratio>0.5</max_server_memory_usage_to_ram_ratio>
    <merge_tree>
        <number_of_free_entries_in_pool_to_execute_mutation>1</number_of_free_entries_in_pool_to_execute_mutation>
        <number_of_free_entries_in_pool_to_lower_max_size_of_merge>1</number_of_free_entries_in_pool_to_lower_max_size_of_merge>
        <number_of_free_entries_in_pool_to_execute_optimize_entire_partition>1</number_of_free_entries_in_pool_to_execute_optimize_entire_partition>
    </merge_tree>
</clickhouse>
";
