//! The Rust side of `wit/plugin.wit`, generated.
//!
//! Only the interfaces that this version offers are ever linked (`component.rs`); the rest is
//! generated from the same text and left alone.

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "plugin",
    imports: { default: trappable },
    additional_derives: [PartialEq],
});
