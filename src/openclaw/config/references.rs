//! What openclaw.json refers to: secrets, and files that it takes in. Part of [`Config`]; reads, and copies
//! nothing that may be a value.

use super::{Config, INCLUDE, syntax};
use crate::openclaw::elsewhere::Reference;
use crate::openclaw::reference::SecretRef;
use jsonc_parser::ast;

impl Config {
    /// Every exec ref in the file, with its path.
    pub fn refs(&self) -> Vec<(Vec<String>, SecretRef)> {
        let mut refs = Vec::new();
        self.walk(|path, node| {
            let ast::Value::Object(object) = node else {
                return;
            };
            // A ref's own three strings are no secret; other objects are not copied.
            if object.properties.len() == 3
                && let Some(found) = SecretRef::from_value(&syntax::to_value(node))
            {
                refs.push((path.to_vec(), found));
            }
        });
        refs
    }

    /// Every reference of whatever source that others answer, with its path; but for those of what is turned off
    /// (`enabled: false` beside or above it), which OpenClaw does not ask for. Only objects: a text that names a
    /// variable is one in fields for secrets alone.
    pub fn references_elsewhere(&self) -> Vec<(Vec<String>, Reference)> {
        let mut found = Vec::new();
        let mut off: Vec<Vec<String>> = Vec::new();
        self.walk(|path, node| {
            let ast::Value::Object(object) = node else {
                return;
            };
            if let Some(ast::Value::BooleanLit(on)) =
                object.get("enabled").map(|property| &property.value)
                && !on.value
            {
                off.push(path.to_vec());
            }
            let is_named = path.first().is_some_and(|first| first == "secrets");
            // As above: nothing but a ref's own strings is copied.
            let is_one = match object.properties.len() {
                2 => true,
                3 => object.get("provider").is_some(),
                _ => false,
            };
            if is_one
                && !is_named
                && object.get("source").is_some()
                && object.get("id").is_some()
                && let Some(reference) = Reference::of(&syntax::to_value(node))
                && !reference.is_ours()
            {
                found.push((path.to_vec(), reference));
            }
        });
        found.retain(|(path, _)| !off.iter().any(|off| path.starts_with(off)));
        found
    }

    /// The paths of the objects that take (part of) their content from another file.
    pub fn includes(&self) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        self.walk(|path, node| {
            if let ast::Value::Object(object) = node
                && object.get(INCLUDE).is_some()
            {
                found.push(path.to_vec());
            }
        });
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn what_others_answer_is_found_where_it_counts() {
        let config = Config::parse(
            b"{
                models: {providers: {a: {apiKey: {source: 'env', id: 'A'}}}},
                channels: {
                    on: {enabled: true, token: {source: 'file', provider: 'f', id: '/t'}},
                    off: {enabled: false, deep: {token: {source: 'env', provider: 'default', id: 'B'}}},
                },
                gateway: {auth: {token: {source: 'exec', provider: 'clawkeep', id: 'gateway/token'}}},
                secrets: {providers: {odd: {source: 'env', id: 'C'}}},
                list: [{source: 'exec', provider: 'pass', id: 'x'}, {source: 'env', id: 'D', token: 'sk-FAKE'}],
            }",
            Path::new("/nowhere/openclaw.json"),
        )
        .unwrap();
        let found = config.references_elsewhere();
        let found: Vec<(String, &str)> = found
            .iter()
            .map(|(path, reference)| (path.join("."), reference.id.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                ("models.providers.a.apiKey".to_owned(), "A"),
                ("channels.on.token".to_owned(), "/t"),
                ("list.0".to_owned(), "x"),
            ]
        );
        assert_eq!(config.refs().len(), 2, "those of source exec");
    }
}
