//! The guest's side of `wit/plugin.wit`, generated. Use it directly for what the views do not offer.
#![expect(clippy::pedantic, reason = "generated")]

wit_bindgen::generate!({
    path: "wit",
    world: "plugin",
    runtime_path: "::petrel_plugin::wit_bindgen::rt",
    default_bindings_module: "::petrel_plugin::bindings",
    export_macro_name: "export_component",
    pub_export_macro: true,
    additional_derives: [PartialEq, Clone],
});
