//! What providers' keys look like. Ring 0: data, and how to look into it.
//!
//! Source: the formats that the providers document or that their keys have had since 2024. Lengths are
//! the least that was seen; a shape whose provider makes longer keys one day still fits.

/// Of which bytes a key's rest consists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Letters {
    /// `A-Z a-z 0-9`
    Alphanumeric,
    /// `A-Z a-z 0-9 _ -`
    Word,
}

impl Letters {
    /// Whether the byte is one of them.
    pub fn has(self, byte: u8) -> bool {
        byte.is_ascii_alphanumeric() || self == Letters::Word && matches!(byte, b'_' | b'-')
    }
}

/// The shape of one kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// How it begins: at least three bytes.
    pub prefix: &'static str,
    /// Whose it is. `None` when several providers' keys begin so.
    pub provider: Option<&'static str>,
    /// What follows the prefix.
    pub letters: Letters,
    /// The least length of the whole key in bytes: a shorter text is a name or an example.
    pub least: usize,
}

/// How age's secret keys begin, in both cases that readers take.
pub const IDENTITIES: [&str; 2] = ["AGE-SECRET-KEY-1", "age-secret-key-1"];

/// The most bytes of a key that is known by its shape.
pub const LONGEST: usize = 512;

use Letters::{Alphanumeric, Word};

const fn shape(
    prefix: &'static str,
    provider: &'static str,
    letters: Letters,
    least: usize,
) -> Shape {
    Shape {
        prefix,
        provider: Some(provider),
        letters,
        least,
    }
}

/// Every known shape.
pub const SHAPES: &[Shape] = &[
    shape("sk-ant-oat01-", "anthropic", Word, 80),
    shape("sk-ant-api", "anthropic", Word, 80),
    shape("sk-ant-admin", "anthropic", Word, 80),
    shape("sk-proj-", "openai", Word, 48),
    shape("sk-svcacct-", "openai", Word, 48),
    shape("sk-or-", "openrouter", Word, 40),
    shape("gsk_", "groq", Alphanumeric, 40),
    shape("xai-", "xai", Alphanumeric, 60),
    shape("AIza", "google", Word, 39),
    shape("hf_", "huggingface", Alphanumeric, 30),
    shape("nvapi-", "nvidia", Word, 50),
    shape("csk-", "cerebras", Alphanumeric, 40),
    shape("pplx-", "perplexity", Alphanumeric, 40),
    shape("tvly-", "tavily", Word, 30),
    shape("fw_", "fireworks", Alphanumeric, 22),
    shape("ghu_", "github-copilot", Alphanumeric, 40),
    shape("gho_", "github-copilot", Alphanumeric, 40),
    shape("ghp_", "github-copilot", Alphanumeric, 40),
    shape("github_pat_", "github-copilot", Word, 60),
    // OpenAI's older keys, DeepSeek's, Moonshot's, StepFun's and others'.
    Shape {
        prefix: "sk-",
        provider: None,
        letters: Alphanumeric,
        least: 35,
    },
];

impl Shape {
    /// The length of the key of this shape that begins `text`. `None` when there is none: too short,
    /// without a digit or a letter, or of so few different letters that it is an example.
    pub fn length_in(&self, text: &[u8]) -> Option<usize> {
        let rest = text.strip_prefix(self.prefix.as_bytes())?;
        let most = LONGEST - self.prefix.len();
        let length = rest
            .iter()
            .take(most)
            .take_while(|byte| self.letters.has(**byte))
            .count();
        let (key, after) = rest.split_at(length);
        let goes_on = after.first().is_some_and(|byte| Word.has(*byte));
        let mut seen = [false; 256];
        for byte in key {
            seen[usize::from(*byte)] = true;
        }
        let different = seen.iter().filter(|seen| **seen).count();
        let fits = self.prefix.len() + length >= self.least
            && !goes_on
            && different >= 8
            && key.iter().any(u8::is_ascii_digit)
            && key.iter().any(u8::is_ascii_alphabetic);
        fits.then_some(self.prefix.len() + length)
    }
}
