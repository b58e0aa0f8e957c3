//! The values of a configuration that hold no others. Knows the syntax tree; not what settings mean.

use super::syntax::{Root, to_value};
use jsonc_parser::ast::{Object, Value as Node};
use std::collections::HashMap;

/// A value that holds no other; or one that is read as a whole.
pub(crate) enum Leaf<'a> {
    /// A string. May be a secret.
    Text(&'a str),
    /// A number, `true`, `false`, `null`, `{}` or `[]`, as JSON.
    Plain(String),
    /// An array of strings and plain values, not empty.
    List(Vec<Leaf<'a>>),
    /// An object of three strings, as a reference to a secret is.
    Reference {
        /// env, file, exec or store.
        source: &'a str,
        /// The entry of `secrets.providers`.
        provider: &'a str,
        /// What it is asked for.
        id: &'a str,
    },
}

/// Visits every leaf below `root`. Of a key that stands twice the last counts.
pub(super) fn walk(
    root: &Root<'_>,
    path: &mut Vec<String>,
    take: &mut impl FnMut(&[String], Leaf<'_>),
) {
    object(&root.object, path, take);
}

fn object(found: &Object<'_>, path: &mut Vec<String>, take: &mut impl FnMut(&[String], Leaf<'_>)) {
    let last: HashMap<&str, usize> = found
        .properties
        .iter()
        .enumerate()
        .map(|(index, property)| (property.name.as_str(), index))
        .collect();
    for (index, property) in found.properties.iter().enumerate() {
        let name = property.name.as_str();
        if last.get(name) == Some(&index) {
            path.push(name.to_owned());
            node(&property.value, path, take);
            path.pop();
        }
    }
}

fn node(found: &Node<'_>, path: &mut Vec<String>, take: &mut impl FnMut(&[String], Leaf<'_>)) {
    if let Some(leaf) = leaf(found) {
        return take(path, leaf);
    }
    match found {
        Node::Object(inner) => match reference(inner) {
            Some(leaf) => take(path, leaf),
            None => object(inner, path, take),
        },
        Node::Array(array) => {
            let flat: Option<Vec<Leaf<'_>>> = array.elements.iter().map(leaf).collect();
            if let Some(list) = flat {
                return take(path, Leaf::List(list));
            }
            for (index, element) in array.elements.iter().enumerate() {
                path.push(index.to_string());
                node(element, path, take);
                path.pop();
            }
        }
        _ => {}
    }
}

fn leaf<'a>(found: &'a Node<'_>) -> Option<Leaf<'a>> {
    match found {
        Node::StringLit(text) => Some(Leaf::Text(&text.value)),
        Node::Object(object) if !object.properties.is_empty() => None,
        Node::Array(array) if !array.elements.is_empty() => None,
        _ => Some(Leaf::Plain(to_value(found).to_string())),
    }
}

fn reference<'a>(object: &'a Object<'_>) -> Option<Leaf<'a>> {
    let text = |key: &str| match &object.get(key)?.value {
        Node::StringLit(text) => Some(&*text.value),
        _ => None,
    };
    if object.properties.len() != 3 {
        return None;
    }
    Some(Leaf::Reference {
        source: text("source")?,
        provider: text("provider")?,
        id: text("id")?,
    })
}
