//! The cases natively; `petrel plugin test` runs the same files in the host.

#[test]
fn every_case_comes_out_as_expected() {
    petrel_plugin::testing::golden::<route::Route>("cases");
}
