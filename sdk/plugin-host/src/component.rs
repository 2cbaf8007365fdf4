//! From a file to a component that may run here: size, imports, exports checked, compiled or cached.

use std::fs;
use std::path::Path;

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, HasSelf, Linker};

use crate::bindings::petrel::plugin::{accel, clock, log, lookup, metrics, random, state, types};
use crate::bindings::{Plugin, PluginPre};
use crate::cache::Cache;
use crate::host::HostState;

/// What every component is made for.
const PACKAGE: &str = "petrel:plugin/";
const VERSION: &str = "0.1";
const OFFERED: [&str; 8] = [
    "types", "log", "accel", "metrics", "state", "clock", "random", "lookup",
];

/// A component of this contract, compiled and linked.
pub(crate) struct Loaded {
    pub(crate) plugin: PluginPre<HostState>,
    /// Interfaces it imports: its capabilities.
    pub(crate) imports: Vec<String>,
    /// The version of the contract that it was built for.
    pub(crate) contract: String,
}

impl Loaded {
    /// Whether it imports this interface of the contract.
    pub(crate) fn imports(&self, interface: &str) -> bool {
        let is_it = |name: &String| {
            let name = name
                .strip_prefix(PACKAGE)
                .and_then(|rest| rest.split('@').next());
            name == Some(interface)
        };
        self.imports.iter().any(is_it)
    }
}

/// Loads `bytes`, which came from `path`. The error says what to do.
pub(crate) fn load(
    engine: &wasmtime::Engine,
    path: &Path,
    bytes: &[u8],
    cache: Option<&Cache>,
) -> Result<Loaded, String> {
    let file = path.display();
    check_header(bytes).map_err(|error| format!("{file} {error}"))?;
    let component = compile(engine, bytes, cache)
        .map_err(|error| format!("{file} does not compile: {error:#}{}", remedy(&error)))?;
    let (imports, contract) =
        check_imports(engine, &component).map_err(|error| format!("{file} {error}"))?;
    let plugin = link(engine, &component).map_err(|error| {
        format!(
            "{file} does not fit the contract petrel:plugin@{VERSION}: {error:#}; \
             build it anew with `petrel plugin build`"
        )
    })?;
    Ok(Loaded {
        plugin,
        imports,
        contract,
    })
}

/// Reads a component file of at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    let file = path.display();
    let size = fs::metadata(path)
        .map_err(|error| format!("cannot read plugin {file}: {error}; build it with `petrel plugin build`, or correct `plugin:`"))?
        .len();
    if size > limit {
        return Err(format!(
            "{file} has {size} bytes, {limit} are allowed for a plugin"
        ));
    }
    fs::read(path).map_err(|error| format!("cannot read plugin {file}: {error}"))
}

fn check_header(bytes: &[u8]) -> Result<(), &'static str> {
    match bytes.get(..8) {
        Some(b"\0asm\x0d\0\x01\0") => Ok(()),
        Some(b"\0asm\x01\0\0\0") => {
            Err("is a core module, not a component; build it with `petrel plugin build`")
        }
        _ => Err("is not a WebAssembly component"),
    }
}

fn compile(
    engine: &wasmtime::Engine,
    bytes: &[u8],
    cache: Option<&Cache>,
) -> wasmtime::Result<Component> {
    if let Some(component) = cache.and_then(|cache| cache.load(engine, bytes)) {
        return Ok(component);
    }
    let component = Component::new(engine, bytes)?;
    // What comes back is mapped from the file: the compiler's copy is dropped.
    let stored = cache.and_then(|cache| cache.store(engine, bytes, &component));
    Ok(stored.unwrap_or(component))
}

/// For hosts that are hardened.
fn remedy(error: &wasmtime::Error) -> &'static str {
    let words = format!("{error:#}");
    if words.contains("os error 13") || words.contains("os error 1)") {
        return "; if executable memory is forbidden here (MemoryDenyWriteExecute=), write \
                `plugins: { engine: interpreter }`";
    }
    ""
}

/// The import list is the list of capabilities: only what is offered passes.
fn check_imports(
    engine: &wasmtime::Engine,
    component: &Component,
) -> Result<(Vec<String>, String), String> {
    let kind = component.component_type();
    let mut imports = Vec::new();
    for (name, _) in kind.imports(engine) {
        check_import(name)?;
        imports.push(name.to_owned());
    }
    let processor = |(name, item): (&str, _)| {
        let is_instance = matches!(item, ComponentItem::ComponentInstance(_));
        (is_instance && name.starts_with("petrel:plugin/processor@")).then(|| name.to_owned())
    };
    let Some(name) = kind
        .exports(engine)
        .find_map(|(name, item)| processor((name, item.ty)))
    else {
        return Err(
            "is a component, but not a Petrel plugin: it does not export petrel:plugin/processor"
                .into(),
        );
    };
    check_version(&name)?;
    let contract = name.rsplit('@').next().unwrap_or_default().to_owned();
    Ok((imports, contract))
}

fn check_import(name: &str) -> Result<(), String> {
    if name.starts_with("wasi:") {
        return Err(format!(
            "imports {name}: plugins get no WASI; build it for wasm32-unknown-unknown, which `petrel plugin build` does"
        ));
    }
    let Some(interface) = name
        .strip_prefix(PACKAGE)
        .and_then(|rest| rest.split('@').next())
    else {
        return Err(format!(
            "imports {name}, which is not in the contract petrel:plugin@{VERSION}"
        ));
    };
    check_version(name)?;
    if OFFERED.contains(&interface) {
        return Ok(());
    }
    Err(format!(
        "imports {name}, which this version of Petrel does not know"
    ))
}

fn check_version(name: &str) -> Result<(), String> {
    let version = name.rsplit('@').next().unwrap_or_default();
    if version == VERSION || version.starts_with("0.1.") {
        return Ok(());
    }
    Err(format!(
        "was built for petrel:plugin@{version}, this host speaks {VERSION}; rebuild it against this version's wit/"
    ))
}

fn link(
    engine: &wasmtime::Engine,
    component: &Component,
) -> wasmtime::Result<PluginPre<HostState>> {
    let mut linker = Linker::new(engine);
    types::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut HostState| state)?;
    log::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut HostState| state)?;
    accel::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut HostState| state)?;
    metrics::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut HostState| state)?;
    state::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut HostState| state)?;
    clock::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut HostState| state)?;
    random::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut HostState| state)?;
    lookup::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut HostState| state)?;
    PluginPre::new(linker.instantiate_pre(component)?)
}

/// The generated entry points of an instance.
pub(crate) type Exports = Plugin;
