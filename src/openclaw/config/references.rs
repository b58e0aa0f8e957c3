//! What openclaw.json refers to: secrets, and files that it takes in. Part of [`Config`]; reads, and copies
//! nothing that may be a value.

use super::{Config, INCLUDE, syntax};
use crate::openclaw::elsewhere::Reference;
use crate::openclaw::reference::SecretRef;
use jsonc_parser::ast;
use serde_json::{Map, Value};

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
            if let Some(ast::Value::BooleanLit(on)) = last(object, "enabled")
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

    /// The entries of `secrets.providers` by name, each without its `env`, which may hold values. Of two of one
    /// name the later counts.
    pub fn secret_entries(&self) -> Vec<(String, Map<String, Value>)> {
        let entry = |object: &ast::Object<'_>| {
            let fields = object.properties.iter().filter_map(|property| {
                let key = property.name.as_str();
                (key != "env").then(|| (key.to_owned(), syntax::to_value(&property.value)))
            });
            fields.collect()
        };
        self.look(&["secrets", "providers"], |node| match node {
            Some(ast::Value::Object(all)) => {
                let all = all.properties.iter();
                all.filter_map(|property| match &property.value {
                    ast::Value::Object(object) => {
                        Some((property.name.as_str().to_owned(), entry(object)))
                    }
                    _ => None,
                })
                .collect()
            }
            _ => Vec::new(),
        })
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

/// The value of a key; of two the later, as OpenClaw reads it.
fn last<'b, 'a>(object: &'b ast::Object<'a>, key: &str) -> Option<&'b ast::Value<'a>> {
    let mut all = object.properties.iter().rev();
    let found = all.find(|property| property.name.as_str() == key);
    found.map(|property| &property.value)
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
                    twice: {enabled: false, enabled: true, token: {source: 'env', id: 'E'}},
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
                ("channels.twice.token".to_owned(), "E"),
                ("list.0".to_owned(), "x"),
            ]
        );
        assert_eq!(config.refs().len(), 2, "those of source exec");
    }
}
