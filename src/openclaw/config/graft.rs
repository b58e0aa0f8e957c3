//! Putting back into a text what stands in an older one, by the older one's own spelling. Knows byte
//! ranges.
//!
//! Promise: what is put back goes from text to text, and may be a secret: nothing is copied on the way
//! that is not wiped.

use super::{Config, syntax};
use crate::error::Result;
use serde_json::Value;
use std::ops::Range;
use zeroize::Zeroizing;

impl Config {
    /// Puts what stands at `path` in `from` at the same path here, making the objects above it. `false`
    /// when nothing stands there in `from`.
    ///
    /// # Errors
    /// As [`Config::set`]; the text is then as it was.
    pub(crate) fn graft(&mut self, path: &[&str], from: &Config) -> Result<bool> {
        let Some(source) = from.range_at(path) else {
            return Ok(false);
        };
        let before = self.text.clone();
        if self.range_at(path).is_none() {
            self.set(path, &Value::Null)?;
        } else if self.stands_twice(path) {
            // Says which key it is.
            self.set(path, &Value::Null)?;
        }
        let Some(place) = self.range_at(path) else {
            return Ok(false);
        };
        let (graft, old) = (&from.text[source], &self.text);
        let room = old.len() - place.len() + graft.len();
        let mut text = Zeroizing::new(String::with_capacity(room));
        text.push_str(&old[..place.start]);
        text.push_str(graft);
        text.push_str(&old[place.end..]);
        self.text = text;
        // A comment that ends with its line may have been cut from what ends it.
        if let Err(place) = syntax::with_root(&self.text, |_| ()) {
            self.text = before;
            return Err(self.broken(path, &place.to_string()));
        }
        Ok(true)
    }

    /// Whether comments stand in the text.
    pub(crate) fn has_comments(&self) -> bool {
        !syntax::comments(&self.text).is_empty()
    }

    fn range_at(&self, path: &[&str]) -> Option<Range<usize>> {
        self.look(path, |node| node.map(syntax::range_of))
    }

    fn stands_twice(&self, path: &[&str]) -> bool {
        syntax::with_root(&self.text, |root| {
            syntax::find_for_removal(root, path).is_err()
        })
        .unwrap_or(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn read(text: &str) -> Config {
        Config::parse(text.as_bytes(), Path::new("/x")).unwrap()
    }

    #[test]
    fn what_stood_there_stands_there_again_as_it_was_spelled() {
        let old = read(
            "{ // a\n  a: { b: 'FAKE-\\u0041', c: [1, { d: \"FAKE-D\" }] },\n  e: { f: { g: +1, }, },\n}\n",
        );
        let mut now = read(
            "{\n  \"a\": {\n    \"b\": {\"source\": \"exec\"},\n    \"c\": [1, { \"d\": null }]\n  },\n  \"x\": 1\n}\n",
        );
        assert!(now.graft(&["a", "b"], &old).unwrap());
        assert!(now.graft(&["a", "c", "1", "d"], &old).unwrap());
        assert!(now.graft(&["e"], &old).unwrap());
        assert!(!now.graft(&["nothing"], &old).unwrap());
        assert_eq!(
            now.text(),
            "{\n  \"a\": {\n    \"b\": 'FAKE-\\u0041',\n    \"c\": [1, { \"d\": \"FAKE-D\" }]\n  },\n  \"x\": 1,\n  \"e\": { f: { g: +1, }, }\n}\n"
        );
    }

    #[test]
    fn an_ambiguous_place_is_refused_and_nothing_changes() {
        let old = read("{ a: 'FAKE' }");
        let mut now = read("{ a: 1, a: 2 }");
        let said = now.graft(&["a"], &old).unwrap_err();
        assert!(!said.message().contains("FAKE"), "{said}");
        assert_eq!(now.text(), "{ a: 1, a: 2 }");
    }
}
