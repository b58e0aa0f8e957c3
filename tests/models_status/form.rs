//! The published form, and that it is one.

use serde_json::{Value, json};
use std::sync::OnceLock;

const FORM: &str = include_str!("../../schema/models-status.v1.json");

fn validator() -> &'static jsonschema::Validator {
    static VALIDATOR: OnceLock<jsonschema::Validator> = OnceLock::new();
    VALIDATOR.get_or_init(|| {
        let form: Value = serde_json::from_str(FORM).unwrap();
        jsonschema::validator_for(&form).unwrap()
    })
}

/// The document has the form.
#[track_caller]
pub fn assert_valid(document: &Value) {
    if validator().is_valid(document) {
        return;
    }
    // Below `oneOf` the first branch says most.
    let form: Value = serde_json::from_str(FORM).unwrap();
    let of_success = jsonschema::validator_for(&form["oneOf"][0]).unwrap();
    let said: Vec<String> = of_success
        .iter_errors(document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    panic!("{}\n{document:#}", said.join("\n"));
}

#[test]
fn the_form_refuses_what_is_not_in_it() {
    let scene = super::linked();
    let good = super::document(&scene.run(&super::args(&["--json"])).ok());
    for (pointer, value) in [
        ("/schema", json!("clawkeep/models-status/2")),
        ("/configPath", Value::Null),
        ("/auth/oauth/profiles/0/status", json!("fine")),
        (
            "/auth/providers/0/env",
            json!({"source": "env: A", "value": "sk-FAKE"}),
        ),
        (
            "/clawkeep/providers/0/candidates/0/value",
            json!({"place": "vault", "plaintextBeside": false, "key": "sk-FAKE"}),
        ),
        ("/clawkeep/check/exitCode", json!(3)),
    ] {
        let mut bad = good.clone();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        bad.pointer_mut(parent).unwrap()[key] = value;
        assert!(!validator().is_valid(&bad), "{pointer}");
    }
    let mut more = good;
    more["token"] = json!("sk-FAKE");
    assert!(!validator().is_valid(&more));
}
