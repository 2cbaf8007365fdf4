//! The cases natively, without wasm: for debuggers and coverage. `petrel plugin test` runs the same
//! files in the host.

use petrel_plugin::testing::{Tested, golden, json};

#[test]
fn every_case_comes_out_as_expected() {
    golden::<{{crate}}::{{Name}}>("cases");
}

#[test]
fn a_configuration_without_keys_is_refused_with_what_to_do() {
    let error = Tested::<{{crate}}::{{Name}}>::new(json!({"keys": []})).unwrap_err();
    assert_eq!(error.message(), "config.keys is empty; name an attribute");
}
