//! What is made of references that others answer.

use super::tests::{api_key, facts, judged_all};
use super::*;
use crate::openclaw::elsewhere::Reference;
use serde_json::{Value, json};

#[test]
fn what_others_answer_is_judged_by_three_answers() {
    let healthy = || facts(&json!({"a:1": api_key()}), &Value::Null);
    let of = |answer: Answer, requires_proof| {
        let one = Elsewhere {
            holder: Holder::Profile(ProfileId::parse("a:1").unwrap()),
            reference: Reference::to_variable("FAKE_KEY"),
            answer,
        };
        let report = judged_all(healthy(), Proof::Nothing, vec![one], requires_proof);
        let causes = report.verdict.causes.iter();
        let causes: Vec<&str> = causes.map(Cause::name).collect();
        (report.verdict.exit_code(), causes.join(" "))
    };
    let nothing = Answer::Nothing {
        code: "NOT_SET".to_owned(),
        why: "it is not set".to_owned(),
    };
    let unknown = Answer::NotKnown {
        why: "nobody may ask".to_owned(),
        hint: "true".to_owned(),
    };
    for (answer, requires_proof, code, causes) in [
        (Answer::Value, true, 0, ""),
        (nothing.clone(), false, 1, "unresolved"),
        (nothing, true, 1, "unresolved"),
        (unknown.clone(), false, 0, ""),
        (unknown, true, 75, "not-proven"),
    ] {
        let said = format!("{answer:?}, {requires_proof}");
        assert_eq!(
            of(answer, requires_proof),
            (code, causes.to_owned()),
            "{said}"
        );
    }
}
