//! The values of a configuration with their places: shown to who looks for credentials, and replaced
//! all at once. Knows the syntax tree; not what settings mean.
//!
//! Promises: as many values as there are cost a handful of parses, not one each; and on any error the
//! text is as it was.

use super::edit::{self, Splice};
use super::syntax::{self, Trouble, to_value};
use super::{Config, INCLUDE};
use crate::error::{Error, Result};
use crate::json;
use jsonc_parser::ast::{Object, Value as Node};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use zeroize::Zeroizing;

/// A value that could be a credential.
pub(crate) enum Shown<'a> {
    /// A string, decoded.
    Text(&'a str),
    /// An object, which can be one credential as a whole.
    Object(Whole<'a>),
}

/// An object as a value.
pub(crate) struct Whole<'a>(&'a Object<'a>);

impl Whole<'_> {
    /// Its keys, each as often as it stands there.
    pub(crate) fn keys(&self) -> Vec<&str> {
        let properties = self.0.properties.iter();
        properties.map(|property| property.name.as_str()).collect()
    }

    /// The string of a key; of two the last.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        let mut named = self.0.properties.iter().rev();
        match &named.find(|property| property.name.as_str() == key)?.value {
            Node::StringLit(text) => Some(&text.value),
            _ => None,
        }
    }

    /// The object as JSON on one line.
    pub(crate) fn json(&self) -> Zeroizing<String> {
        let source = self.0.range.end - self.0.range.start;
        // No spelling of JSON5 becomes more than six times as long, so the buffer never grows.
        let mut out = Zeroizing::new(Vec::with_capacity(6 * source + 64));
        push_object(self.0, &mut out);
        Zeroizing::new(std::str::from_utf8(&out).unwrap_or_default().to_owned())
    }
}

/// Where a value stands.
pub(crate) struct At<'a> {
    /// Keys and indices from the root.
    pub(crate) path: &'a [String],
    /// Whether a key on the path stands twice.
    pub(crate) doubled: bool,
}

/// What comes in a value's place.
#[derive(Clone, Copy)]
pub(crate) enum Put<'a> {
    /// This value, which is no secret.
    Value(&'a Value),
    /// This value, under another key.
    Under(&'a str, &'a Value),
    /// Nothing: the key goes too.
    Gone,
}

impl Config {
    /// Shows every string and every object below the root, parents first. `true` says that the object
    /// is done with: what it holds is not shown.
    pub(crate) fn values(&self, mut look: impl FnMut(&At<'_>, Shown<'_>) -> bool) {
        // The text was parsed when it came in.
        let _ = syntax::with_root(&self.text, |root| {
            show_object(&root.object, &mut Vec::new(), false, &mut look);
        });
    }

    /// Refuses a path on which a key stands twice.
    ///
    /// # Errors
    /// `Broken`, with the line.
    pub(crate) fn only_one(&self, path: &[String]) -> Result<()> {
        let keys: Vec<&str> = path.iter().map(String::as_str).collect();
        syntax::with_root(&self.text, |root| {
            syntax::find_for_removal(root, &keys).map(|_| ())
        })
        .map_err(|place| self.broken(&keys, &place.to_string()))?
        .map_err(|trouble| self.say(&keys, &trouble))
    }

    /// Where the objects stand that take from other files, and what each names.
    pub(crate) fn included(&self) -> Vec<(Vec<String>, String)> {
        let mut found = Vec::new();
        self.walk(|path, node| {
            let Node::Object(object) = node else { return };
            let names: Vec<&str> = match object.get(INCLUDE).map(|property| &property.value) {
                Some(Node::StringLit(text)) => vec![&text.value],
                Some(Node::Array(array)) => array.elements.iter().filter_map(text).collect(),
                _ => return,
            };
            found.extend(names.iter().map(|name| (path.to_vec(), (*name).to_owned())));
        });
        found
    }

    /// Puts each of `what` in its place. `every`: of a key that stands twice both are meant.
    ///
    /// # Errors
    /// `Missing` when nothing stands at a path; `Broken` when a key on it stands twice and not `every`
    /// is meant; `Failed` when an element of an array is to go. The text is then as it was.
    pub(crate) fn put(&mut self, what: &[(Vec<String>, Put<'_>)], every: bool) -> Result<()> {
        let mut wanted: HashMap<&[String], Put<'_>> = what
            .iter()
            .map(|(path, put)| (path.as_slice(), *put))
            .collect();
        let mut text = self.text.clone();
        let mut first = true;
        loop {
            let round = syntax::with_root(&text, |root| {
                let mut round = Round::new(&text, &wanted, every);
                let done = round.object(&root.object, &mut Vec::new(), None);
                done.map(|()| (round.groups, round.seen, round.later))
            });
            let (groups, seen, later) = match round {
                Ok(Ok(round)) => round,
                Ok(Err((path, Refused::Trouble(trouble)))) => {
                    let keys: Vec<&str> = path.iter().map(String::as_str).collect();
                    return Err(self.say(&keys, &trouble));
                }
                Ok(Err((path, Refused::Element))) => {
                    let keys: Vec<&str> = path.iter().map(String::as_str).collect();
                    let said =
                        "is an element of an array, which cannot go without moving the others";
                    return Err(self.broken(&keys, said).as_kind(crate::error::Kind::Failed));
                }
                Err(place) => return Err(self.broken(&[], &place.to_string())),
            };
            if first && let Some((path, _)) = what.iter().find(|(path, _)| !seen.contains(path)) {
                return Err(Error::missing(format!(
                    "{} in {} is not there any more",
                    path.join("."),
                    self.path.display()
                ))
                .hint("list the credentials again: clawkeep migrate --dry-run"));
            }
            let (splices, crossed) = apart(groups);
            text = edit::apply(&text, splices);
            if !later && !crossed {
                break;
            }
            // What is written stays; what could not go beside its neighbour goes now.
            wanted.retain(|_, put| matches!(put, Put::Gone));
            first = false;
        }
        if let Err(place) = syntax::with_root(&text, |_| ()) {
            return Err(self.broken(&[], &format!("could not be edited: {place}")));
        }
        self.text = text;
        Ok(())
    }
}

/// Why a value cannot be replaced.
enum Refused {
    Trouble(Trouble),
    Element,
}

type Walked = std::result::Result<(), (Vec<String>, Refused)>;

/// One pass over the text: the splices for what is wanted, but for neighbours that both go, whose
/// splices would share a comma.
struct Round<'r> {
    text: &'r str,
    wanted: &'r HashMap<&'r [String], Put<'r>>,
    every: bool,
    groups: Vec<Vec<Splice>>,
    seen: HashSet<Vec<String>>,
    later: bool,
}

impl<'r> Round<'r> {
    fn new(text: &'r str, wanted: &'r HashMap<&'r [String], Put<'r>>, every: bool) -> Self {
        Round {
            text,
            wanted,
            every,
            groups: Vec::new(),
            seen: HashSet::new(),
            later: false,
        }
    }

    /// Notes that something stands at `path`. `twice`: the depth and place of a key that stands there
    /// again.
    fn hit(&mut self, path: &[String], twice: Option<(usize, usize)>) -> Walked {
        if let Some((depth, at)) = twice
            && !self.every
        {
            let line = syntax::line_of(self.text, at);
            let trouble = Trouble::Twice { depth, line };
            return Err((path.to_vec(), Refused::Trouble(trouble)));
        }
        self.seen.insert(path.to_vec());
        Ok(())
    }

    fn object(
        &mut self,
        object: &Object<'_>,
        path: &mut Vec<String>,
        above: Option<(usize, usize)>,
    ) -> Walked {
        let doubled = doubled(object);
        let mut gone: Option<usize> = None;
        for (index, property) in object.properties.iter().enumerate() {
            let name = property.name.as_str();
            let twice = above.or_else(|| {
                let second = doubled.get(name)?;
                Some((path.len() + 1, *second))
            });
            path.push(name.to_owned());
            match self.wanted.get(path.as_slice()).copied() {
                None => self.node(&property.value, path, twice)?,
                Some(put) => {
                    self.hit(path, twice)?;
                    match put {
                        Put::Gone if gone.is_some_and(|before| before + 1 == index) => {
                            self.later = true;
                        }
                        Put::Gone => {
                            self.groups.push(edit::remove(self.text, object, index));
                            gone = Some(index);
                        }
                        Put::Value(value) => {
                            let group = edit::replace(self.text, &property.value, value);
                            self.groups.push(group);
                        }
                        Put::Under(key, value) => {
                            let mut group = edit::replace(self.text, &property.value, value);
                            group.push(edit::renamed(&property.name, key));
                            self.groups.push(group);
                        }
                    }
                }
            }
            path.pop();
        }
        Ok(())
    }

    fn node(
        &mut self,
        node: &Node<'_>,
        path: &mut Vec<String>,
        above: Option<(usize, usize)>,
    ) -> Walked {
        match node {
            Node::Object(inner) => self.object(inner, path, above),
            Node::Array(array) => {
                for (index, element) in array.elements.iter().enumerate() {
                    path.push(index.to_string());
                    match self.wanted.get(path.as_slice()).copied() {
                        None => self.node(element, path, above)?,
                        Some(Put::Value(value)) => {
                            self.hit(path, above)?;
                            self.groups.push(edit::replace(self.text, element, value));
                        }
                        Some(Put::Under(..) | Put::Gone) => {
                            return Err((path.clone(), Refused::Element));
                        }
                    }
                    path.pop();
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// The groups that touch no other, and whether any was left out.
fn apart(groups: Vec<Vec<Splice>>) -> (Vec<Splice>, bool) {
    let mut taken: BTreeMap<usize, usize> = BTreeMap::new();
    let mut splices = Vec::new();
    let mut crossed = false;
    for group in groups {
        let free = group.iter().all(|splice| {
            let Range { start, end } = splice.range();
            let before = taken.range(..end).next_back();
            before.is_none_or(|(_, other)| *other <= start)
        });
        if !free {
            crossed = true;
            continue;
        }
        taken.extend(
            group
                .iter()
                .map(|splice| (splice.range().start, splice.range().end)),
        );
        splices.extend(group);
    }
    (splices, crossed)
}

/// The keys that stand more than once in an object, and where the second does.
fn doubled<'o>(object: &'o Object<'_>) -> HashMap<&'o str, usize> {
    let mut first = HashSet::new();
    let mut twice = HashMap::new();
    for property in &object.properties {
        let name = property.name.as_str();
        if !first.insert(name) {
            twice.entry(name).or_insert(property.range.start);
        }
    }
    twice
}

fn show_object(
    object: &Object<'_>,
    path: &mut Vec<String>,
    above: bool,
    look: &mut impl FnMut(&At<'_>, Shown<'_>) -> bool,
) {
    let twice = doubled(object);
    for property in &object.properties {
        let name = property.name.as_str();
        path.push(name.to_owned());
        show(
            &property.value,
            path,
            above || twice.contains_key(name),
            look,
        );
        path.pop();
    }
}

fn show(
    node: &Node<'_>,
    path: &mut Vec<String>,
    doubled: bool,
    look: &mut impl FnMut(&At<'_>, Shown<'_>) -> bool,
) {
    match node {
        Node::StringLit(text) => {
            look(&At { path, doubled }, Shown::Text(&text.value));
        }
        Node::Object(object) => {
            let done = look(&At { path, doubled }, Shown::Object(Whole(object)));
            if !done {
                show_object(object, path, doubled, look);
            }
        }
        Node::Array(array) => {
            for (index, element) in array.elements.iter().enumerate() {
                path.push(index.to_string());
                show(element, path, doubled, look);
                path.pop();
            }
        }
        _ => {}
    }
}

fn text<'n>(node: &'n Node<'_>) -> Option<&'n str> {
    match node {
        Node::StringLit(text) => Some(&text.value),
        _ => None,
    }
}

fn push_object(object: &Object<'_>, out: &mut Vec<u8>) {
    out.push(b'{');
    for (index, property) in object.properties.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        json::push_string(out, property.name.as_str());
        out.push(b':');
        push(&property.value, out);
    }
    out.push(b'}');
}

fn push(node: &Node<'_>, out: &mut Vec<u8>) {
    match node {
        Node::StringLit(text) => json::push_string(out, &text.value),
        Node::Object(object) => push_object(object, out),
        Node::Array(array) => {
            out.push(b'[');
            for (index, element) in array.elements.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                push(element, out);
            }
            out.push(b']');
        }
        plain => out.extend_from_slice(to_value(plain).to_string().as_bytes()),
    }
}
